"""Tensor modules that need torch alone; any file can be copied elsewhere."""

from nerlab.modules.vector_kernels import choose_vector_kernels

choose_vector_kernels()
