"""Feedforward networks over one flat vector: layers, activations, losses of their outputs."""
