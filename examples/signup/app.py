"""A small web service whose route announces new users: `uvicorn examples.signup.app:app`.

It needs only Redis; `workers/welcome.py` does the rest, whenever a worker has time for it.

    curl -i localhost:8000/users -d '{"email": "jane@example.com", "name": "Jane"}'
"""

from __future__ import annotations

from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import qflow

events = qflow.App("signup")


class NewUser(BaseModel):
    """The body of `POST /users`."""

    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)
    name: str = Field(min_length=1, max_length=100)


async def create_user(request: Request) -> JSONResponse:
    """Announce a new user and answer 202 with the event's id.

    A client that repeats a request with the same Idempotency-Key announces the user once.
    """
    try:
        user = NewUser.model_validate_json(await request.body())
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        return JSONResponse({"errors": problems}, 422)
    key = request.headers.get("Idempotency-Key", "")
    try:
        event_id = await events.asend(qflow.Event("user/created", data=user.model_dump(), id=key))
    except qflow.EventError as error:
        return JSONResponse({"errors": [{"msg": str(error)}]}, 422)
    except qflow.RedisError:
        return JSONResponse({"errors": [{"msg": "try again"}]}, 503, {"Retry-After": "5"})
    return JSONResponse({"id": event_id}, 202)


app = Starlette(routes=[Route("/users", create_user, methods=["POST"])])
