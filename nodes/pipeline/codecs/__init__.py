"""How rows of activations cross from one part of the model to the next in fewer bytes."""
