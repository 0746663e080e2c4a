"""What goes on inside a model: sparse autoencoders and the residual stream that they read."""
