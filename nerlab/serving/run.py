"""The server process."""

import uvicorn
from omegaconf import DictConfig

from nerlab.inference.predictor import load
from nerlab.serving.app import make_app
from nerlab.serving.batching import Limits


def run_server(config: DictConfig) -> None:
    """Serve the tagger that ``config`` names until a signal ends it."""
    predictor = load(config.checkpoint, config.device, config.trust)
    limits = Limits(
        window=config.window,
        batch_tokens=config.batch_tokens or 4096,
        queue_tokens=config.queue_tokens,
        queue_requests=config.queue_requests,
    )
    app = make_app(predictor, limits, config.timeout)
    settings = uvicorn.Config(
        app, host=config.host, port=config.port, access_log=False, server_header=False
    )
    uvicorn.Server(settings).run()
