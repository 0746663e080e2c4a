"""What a model itself finds toxic: latents and directions of its stream, chosen and measured."""
