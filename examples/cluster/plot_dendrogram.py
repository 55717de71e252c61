"""One tree, many clusterings: dendrograms of irises under six linkages.

The tree is built once; every cut of it is a clustering (`cut`). Which tree depends on the linkage,
the distance of two clusters: "single" goes by the nearest members and makes chains, "complete"
by the farthest and makes balls, "ward" by the growth of the sum of squares. The distances of
centers ("centroid", "median") may fall from one merge to the next. The cophenetic correlation says
how well heights in the tree tell distances, which is another question than how well its clusters
tell species.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score

from skgen.cluster import AgglomerativeClustering
from skgen.inspection import DendrogramDisplay

LINKAGES = ("ward", "complete", "average", "single", "centroid", "median")
SPECIES_COLORS = ("tab:red", "tab:purple", "tab:olive")


def main(output):
    iris = load_iris()
    trees = {rule: AgglomerativeClustering(3, linkage=rule).fit(iris.data) for rule in LINKAGES}
    for rule, tree in trees.items():
        agreement = ", ".join(
            f"{adjusted_rand_score(iris.target, tree.cut(n_clusters=k)):.2f} cut into {k}"
            for k in (2, 3, 4)
        )
        print(
            f"{rule:8} cophenetic correlation {tree.cophenetic_correlation():.2f};"
            f" agreement with species (adjusted Rand index) {agreement}"
        )

    figure = plt.figure(figsize=(11, 10), layout="constrained")
    axes = figure.subplot_mosaic(
        [["clusters"] * 2 + ["species"], LINKAGES[1:4], LINKAGES[4:] + ("last",)]
    )
    show = DendrogramDisplay.from_estimator
    show(trees["ward"], max_leaves=40, ax=axes["clusters"])
    axes["clusters"].set_title("ward, the last 39 merges, cut into three clusters")
    show(
        trees["ward"], labels=iris.target, colors=SPECIES_COLORS, orientation="right",
        ax=axes["species"],
    )  # fmt: skip
    axes["species"].set_title("ward, all merges, colors of species")
    for rule in LINKAGES[1:]:
        show(trees[rule], ax=axes[rule])
        score = adjusted_rand_score(iris.target, trees[rule].labels_)
        axes[rule].set_title(f"{rule}, agreement with species {score:.2f}")
    show(trees["average"], distance_threshold=1.0, ax=axes["last"])
    axes["last"].set_title("average, cut at a distance of 1 cm")
    figure.savefig(output, dpi=80)
    plt.close(figure)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)
