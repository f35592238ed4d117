"""The control endpoints, beside the API: look at what happened, change the settings while it runs.

server.py routes GET /stats, POST /stats/reset, GET and PATCH /settings and GET /healthz here.
"""

import orjson
from aiohttp import web

from llmbatch_cli.simulator.delivery import json_answer
from llmbatch_cli.simulator.endpoint import Endpoint
from llmbatch_cli.simulator.errors import ApiError
from llmbatch_cli.simulator.settings import SettingsError


async def healthz(endpoint: Endpoint, request: web.BaseRequest) -> web.StreamResponse:
    return json_answer({"status": "ok"})


async def show_stats(endpoint: Endpoint, request: web.BaseRequest) -> web.StreamResponse:
    with_keys = request.query.get("keys") in ("1", "true")
    return json_answer(endpoint.stats.as_json(with_keys=with_keys))


async def reset_stats(endpoint: Endpoint, request: web.BaseRequest) -> web.StreamResponse:
    endpoint.reset()
    return json_answer(endpoint.stats.as_json())


async def show_settings(endpoint: Endpoint, request: web.BaseRequest) -> web.StreamResponse:
    return json_answer(endpoint.settings.as_json())


async def change_settings(endpoint: Endpoint, request: web.BaseRequest) -> web.StreamResponse:
    try:
        values = orjson.loads(await request.read())
        if not isinstance(values, dict):
            raise SettingsError("send a JSON object of settings")
        endpoint.change(endpoint.settings.changed(values))
    except (orjson.JSONDecodeError, SettingsError) as error:
        return json_answer(ApiError(400, str(error), code="invalid_setting").body(), 400)
    return json_answer(endpoint.settings.as_json())
