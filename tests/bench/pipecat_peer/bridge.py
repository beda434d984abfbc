"""The phone bridge that pipecat's own Twilio template describes, with the Realtime service as its examples have it.

Eight kilohertz in and out, the server's voice detection for interruptions, metrics on; logs are quieter than the
template's, and hanging up asks the bench's Twilio. Belongs to pipecat's own environment; run there as a program:
`python -m tests.bench.pipecat_peer.bridge PORT MODEL_URL TWILIO_URL`.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from importlib.metadata import version

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.runner.types import CallData
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

from gateway.loop_lag import LoopLag

RATE_HZ = 8_000
INSTRUCTIONS = "Du bist die Rezeption des Salons Lindenhof. " * 34  # as long as the gateway's agent's
GREET = {"role": "developer", "content": "Sag Hallo!"}


def telephone(websocket: WebSocket, call: CallData, twilio_url: str) -> FastAPIWebsocketTransport:
    serializer = TwilioFrameSerializer(
        stream_sid=call["stream_id"],
        call_sid=call["call_id"],
        account_sid=os.environ["TWILIO_ACCOUNT_SID"],
        auth_token=os.environ["TWILIO_AUTH_TOKEN"],
        base_url=twilio_url,
    )
    params = FastAPIWebsocketParams(
        audio_in_enabled=True, audio_out_enabled=True, add_wav_header=False, serializer=serializer
    )
    return FastAPIWebsocketTransport(websocket=websocket, params=params)


def conversation(transport: FastAPIWebsocketTransport, model_url: str) -> PipelineWorker:
    """Return the pipeline between a caller and the model, which greets first and ends with the call."""
    model = OpenAIRealtimeLLMService(
        api_key="bench",
        base_url=model_url,
        settings=OpenAIRealtimeLLMService.Settings(system_instruction=INSTRUCTIONS),
    )
    user, assistant = LLMContextAggregatorPair(LLMContext([GREET]))
    worker = PipelineWorker(
        Pipeline([transport.input(), user, model, transport.output(), assistant]),
        params=PipelineParams(
            audio_in_sample_rate=RATE_HZ,
            audio_out_sample_rate=RATE_HZ,
            enable_metrics=True,
            enable_usage_metrics=True,
        ),
    )

    async def greet(_transport: FastAPIWebsocketTransport, _client: WebSocket) -> None:
        await worker.queue_frames([LLMRunFrame()])

    async def end(_transport: FastAPIWebsocketTransport, _client: WebSocket) -> None:
        await worker.cancel()

    transport.add_event_handler("on_client_connected", greet)
    transport.add_event_handler("on_client_disconnected", end)
    return worker


def bridge(model_url: str, twilio_url: str) -> FastAPI:
    """Return the app: `/ws` for Twilio's streams, and `/` for who this is and how late its loop wakes its sleepers."""
    lag = LoopLag()

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        measuring = asyncio.create_task(lag.measure())
        yield
        measuring.cancel()

    async def about() -> dict[str, str | float]:
        return {"version": version("pipecat-ai"), "lag_ms": 1000 * lag.p95_s}

    async def stream(websocket: WebSocket) -> None:
        await websocket.accept()
        _, call = await parse_telephony_websocket(websocket)
        transport = telephone(websocket, call, twilio_url)
        # The model tells calls apart by their address: audio that was resampled no longer says whose it is.
        worker = conversation(transport, f"{model_url}/{call['call_id']}")
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()

    app = FastAPI(lifespan=lifespan)
    app.add_api_route("/", about)
    app.add_api_websocket_route("/ws", stream)
    return app


def main(port: int, model_url: str, twilio_url: str) -> None:
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    uvicorn.run(bridge(model_url, twilio_url), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
