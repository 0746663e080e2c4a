"""The corpus of a training: what its recipe says, where its pairs come from, how it is built."""
