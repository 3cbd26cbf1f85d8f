"""Tensor modules that need torch alone; any file can be copied elsewhere."""
