"""Linear classifiers: the perceptron, logistic and softmax regression."""
