"""Linear classifiers: the perceptron, logistic and softmax regression."""

from skgen.linear_model.inference import Inference
from skgen.linear_model.logistic_regression import LogisticRegression

__all__ = ["Inference", "LogisticRegression"]
