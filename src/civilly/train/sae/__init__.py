"""Trains sparse autoencoders on the residual stream of a language model.

`run` is the way through: `texts` says what is read, `shards` keeps the streams on disk, `fit`
trains one autoencoder, `recipe` says what may be set.
"""
