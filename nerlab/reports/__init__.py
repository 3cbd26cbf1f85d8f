"""What a person looks at: pages of results, each one HTML file that needs nothing else."""
