"""Laws that every estimator of the catalogue keeps."""
