"""What a client is told when it does not work."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import InterfaceError, OperationalError

from examples.user_registration.user_service.domain import EmailTaken

NO_DATABASE = (OperationalError, InterfaceError, OSError)


def answer_problems(app: FastAPI) -> None:
    """Let this app answer errors with what the client can do about them."""
    app.add_exception_handler(EmailTaken, _conflict)
    app.add_exception_handler(RequestValidationError, _invalid)
    for kind in NO_DATABASE:
        app.add_exception_handler(kind, _try_again)


def _conflict(_request: Request, problem: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(problem)}, status_code=409)


def _invalid(_request: Request, problem: Exception) -> JSONResponse:
    # What was wrong is not repeated: it may be what no answer can carry.
    errors = problem.errors() if isinstance(problem, RequestValidationError) else ()
    return JSONResponse({"detail": [{"loc": each["loc"], "msg": each["msg"]} for each in errors]}, status_code=422)


def _try_again(_request: Request, _problem: Exception) -> JSONResponse:
    headers = {"Retry-After": "1"}
    return JSONResponse({"detail": "the database is away; try again"}, status_code=503, headers=headers)
