"""Draws the pictures of the documentation: `python doc/pictures.py`."""

import subprocess
import sys
from pathlib import Path

DOC = Path(__file__).resolve().parent
EXAMPLES = DOC.parent / "examples"
PICTURES = {
    "quickstart.png": "quickstart.py",
    "seeding.png": "cluster/plot_seeding.py",
    "color_quantization.png": "cluster/plot_color_quantization.py",
    "dendrogram.png": "cluster/plot_dendrogram.py",
    "digits_eigenimages.png": "decomposition/plot_digits_eigenimages.py",
    "number_of_components.png": "decomposition/plot_number_of_components.py",
    "missing_pixels.png": "decomposition/plot_missing_pixels.py",
    "logistic_regression.png": "linear_model/plot_logistic_regression.py",
    "softmax_training.png": "linear_model/plot_softmax_training.py",
    "autoencoder_digits.png": "neural_network/plot_autoencoder_digits.py",
    "mlp_digits.png": "neural_network/plot_mlp_digits.py",
    "mlp_functions.png": "neural_network/plot_mlp_functions.py",
    "mlp_tasks.png": "neural_network/plot_mlp_tasks.py",
    "perceptron.png": "linear_model/plot_perceptron.py",
    "covariance_structures.png": "mixture/plot_covariance_structures.py",
    "missing_cells.png": "mixture/plot_missing_cells.py",
    "bayesian_pruning.png": "mixture/plot_bayesian_pruning.py",
    "small_samples.png": "mixture/plot_small_samples.py",
    "acceleration.png": "mixture/plot_acceleration.py",
    "semi_supervised_digits.png": "mixture/plot_semi_supervised_digits.py",
    "two_moons.png": "semi_supervised/plot_two_moons.py",
    "old_faithful.png": "mixture/plot_old_faithful.py",
    "bernoulli_mixture.png": "extending/plot_bernoulli_mixture.py",
    "generalized_em.png": "extending/plot_von_mises_mixture.py",
    "displays.png": "inspection/plot_displays.py",
}

for picture, script in PICTURES.items():
    output = DOC / "images" / picture
    subprocess.run([sys.executable, EXAMPLES / script, "--output", output], check=True)
