"""The application: every route behind the one middleware stack."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from daemon.serving.errors import RequestError
from daemon.serving.middleware import Authenticate, Observe
from daemon.serving.routes_health import health_routes
from daemon.serving.routes_inference import inference_routes
from daemon.serving.routes_predict import predict_routes
from daemon.serving.security import Access
from daemon.serving.service import Service, json_response


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else {}
    return json_response({"error": str(error)}, status=error.status, headers=headers)


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = "there is no such route; GET / lists them" if error.status_code == 404 else error.detail
    return json_response({"error": text}, status=error.status_code, headers=dict(error.headers or {}))


def build_app(*, service: Service, access: Access) -> Starlette:
    """All routes. Errors are `{"error": …}` whatever their cause."""
    app = Starlette(
        routes=health_routes(service) + predict_routes(service) + inference_routes(service),
        middleware=[
            Middleware(Observe, telemetry=service.telemetry),
            Middleware(Authenticate, access=access),
        ],
        exception_handlers={RequestError: _refused, HTTPException: _not_routed},
    )
    # A redirect would answer paths that no route has.
    app.router.redirect_slashes = False
    return app
