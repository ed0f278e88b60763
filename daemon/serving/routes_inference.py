"""Open Inference Protocol v2, so that Triton's and KServe's clients work unchanged."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daemon.serving.errors import UnknownError
from daemon.serving.inference import check_outputs, outputs_of, parse_infer, render_infer
from daemon.serving.service import Service, json_response, snapshot_headers

_HEADER_LENGTH = "Inference-Header-Content-Length"


def inference_routes(service: Service) -> list[Route]:
    """`/v2`, its health, the model's metadata and readiness, and `infer`; for the current version and for a named one."""

    def version_of(request: Request) -> int | None:
        name = request.path_params["name"]
        if name != service.model_name:
            raise UnknownError(f"there is no model {name!r}; there is {service.model_name!r}")
        version = request.path_params.get("version")
        if version is None:
            return None
        # Versions are plain integers, so that no path leads anywhere else; 18 digits fit 64 bits.
        if not version.isascii() or not version.isdigit() or len(version) > 18:
            raise UnknownError(f"there is no version {version[:20]!r}; a version is a number, such as 7")
        return int(version)

    async def server(request: Request) -> Response:
        return json_response({"name": "learnd", "version": installed_version("learnd"), "extensions": ["binary_tensor_data"]})

    async def live(request: Request) -> Response:
        is_live = service.is_live()
        return json_response({"live": is_live}, status=200 if is_live else 503)

    async def ready(request: Request) -> Response:
        is_ready = service.is_ready()
        return json_response({"ready": is_ready}, status=200 if is_ready else 503)

    async def model(request: Request) -> Response:
        async with service.deadline():
            served = await service.pin(version_of(request))
        inputs: list[dict[str, Any]] = [{"name": name, "datatype": "BYTES", "shape": [-1]} for name in served.answerer.reads]
        return json_response(
            {
                "name": service.model_name,
                "versions": [str(version) for version in service.store.versions()],
                "platform": "learnd",
                "inputs": inputs,
                "outputs": outputs_of(served.answerer),
            },
            headers=snapshot_headers(served),
        )

    async def model_ready(request: Request) -> Response:
        version = version_of(request)
        is_ready = service.is_ready() and (version is None or version in service.store.versions())
        return json_response({"name": service.model_name, "ready": is_ready}, status=200 if is_ready else 503)

    async def infer(request: Request) -> Response:
        version = version_of(request)
        async with service.deadline():
            parsed, inputs = parse_infer(await service.body(request), header_length=request.headers.get(_HEADER_LENGTH))
            served = await service.pin(version)
            check_outputs(parsed, served.answerer)
            answers = await service.answer(inputs, served)
        body, header_length = render_infer(parsed, answers, served, model_name=service.model_name)
        headers = snapshot_headers(served)
        if header_length is None:
            return Response(body, headers=headers, media_type="application/json")
        headers[_HEADER_LENGTH] = str(header_length)
        return Response(body, headers=headers, media_type="application/octet-stream")

    routes = [Route("/v2", server), Route("/v2/health/live", live), Route("/v2/health/ready", ready)]
    for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        routes += [
            Route(path, model),
            Route(f"{path}/ready", model_ready),
            Route(f"{path}/infer", infer, methods=["POST"]),
        ]
    return routes
