"""Linear classifiers: the perceptron, logistic and softmax regression."""

from skgen.linear_model.inference import Inference
from skgen.linear_model.logistic_regression import LogisticRegression
from skgen.linear_model.perceptron import Perceptron
from skgen.linear_model.softmax_regression import SoftmaxRegression

__all__ = ["Inference", "LogisticRegression", "Perceptron", "SoftmaxRegression"]
