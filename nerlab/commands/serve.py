"""``python -m nerlab serve``: an HTTP API and a web page."""

from omegaconf import DictConfig

from nerlab.device import keep_few_kernels, use_threads


def run(config: DictConfig) -> None:
    """Serve the tagger that ``config`` names.

    ``ValueError``: a key has no such value, the checkpoint is broken, or the extra ``serve`` is not
    installed.
    """
    try:
        from nerlab.serving.run import run_server
    except ModuleNotFoundError as error:
        raise ValueError(
            f'serve: needs {error.name}, which is not installed; pip install "nerlab[serve]"'
        ) from None
    use_threads(config.threads, spare=1)  # for HTTP
    keep_few_kernels()
    run_server(config)
