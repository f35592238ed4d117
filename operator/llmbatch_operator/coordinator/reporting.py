"""POST /v1/report: the call that every pod makes every second or two, so it does as little as it can."""

from aiohttp import web
from pydantic import ValidationError

from llmbatch_contract.errors import BatchGoneError
from llmbatch_contract.reports import Report
from llmbatch_operator.coordinator.callers import caller, gone, small_body
from llmbatch_operator.coordinator.desk import Desk, Identities, Refused
from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Meters


class ReportCalls:
    """Takes reports to the desk."""

    def __init__(self, desk: Desk, identities: Identities, meters: Meters) -> None:
        self._desk = desk
        self._identities = identities
        self._meters = meters

    async def answer(self, request: web.BaseRequest, _: str) -> web.StreamResponse:
        """The desk's reply; 410 when the batch is gone."""
        outcome = "refused"
        try:
            answer = await self._answer(request)
            outcome = "answered"
            return answer
        except BatchGoneError:
            outcome = "gone"
            raise
        finally:
            self._meters.add(names.REPORTS, 1, outcome)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "POST":
            raise Refused(405, "reports are posted")
        who = await caller(request, self._identities)
        report = _read(await small_body(request))
        reply = self._desk.reply(who, report)
        if reply is None:
            raise gone(who)
        return web.Response(body=reply.dump_json(), content_type="application/json")


def _read(body: bytes) -> Report:
    try:
        return Report.load(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise Refused(400, f"not a report: {where}: {first['msg']}") from None
