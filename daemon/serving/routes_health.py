"""Probes, telemetry, and the links at `/`."""

from __future__ import annotations

from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daemon.serving.service import Service, json_response


def health_routes(service: Service) -> list[Route]:
    """`/`, `/livez`, `/readyz` and `/metrics`."""

    async def links(request: Request) -> Response:
        model = f"/v2/models/{service.model_name}"
        return json_response(
            {
                "predict": "/predict",
                "model": model,
                "infer": f"{model}/infer",
                "live": "/livez",
                "ready": "/readyz",
                "metrics": "/metrics",
            }
        )

    async def live(request: Request) -> Response:
        is_live = service.is_live()
        return json_response({"live": is_live}, status=200 if is_live else 503)

    async def ready(request: Request) -> Response:
        is_ready = service.is_ready()
        return json_response({"ready": is_ready}, status=200 if is_ready else 503)

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(service.telemetry.registry), headers={"Content-Type": content_type})

    return [Route("/", links), Route("/livez", live), Route("/readyz", ready), Route("/metrics", metrics)]
