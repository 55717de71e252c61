"""Side-by-side measurements of skgen and its peers; `python -m benchmarks` lists them."""
