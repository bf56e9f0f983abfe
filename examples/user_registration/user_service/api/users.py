from typing import Annotated, Final, Self
from uuid import UUID

from dishka.integrations.fastapi import DishkaRoute, FromDishka
from fastapi import APIRouter, HTTPException, Response
from pydantic import AfterValidator, BaseModel, StringConstraints

from events_core import AsyncMessageBus
from examples.user_registration.user_service.application.commands import RegisterUser
from examples.user_registration.user_service.database import UserServiceUnitOfWork
from examples.user_registration.user_service.domain import EmailAddress, User, UserId

# A name of any language, and no line ends or control characters: it ends up in mails.
ONE_LINE: Final = r"^[^\p{Cc}\p{Zl}\p{Zp}]+$"

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=ONE_LINE)]
Email = Annotated[str, AfterValidator(lambda written: EmailAddress(written).written)]

router = APIRouter(prefix="/users", tags=["users"], route_class=DishkaRoute)


class NewUser(BaseModel):
    name: Name
    email: Email


class KnownUser(BaseModel):
    id: UUID
    name: str
    email: str

    @classmethod
    def of(cls, user: User) -> Self:
        return cls(id=user.id, name=user.name, email=str(user.email))


class Registered(BaseModel):
    id: UUID


@router.post("", status_code=201, responses={409: {"description": "The e-mail address is registered already"}})
async def register(
    new: NewUser, response: Response, bus: FromDishka[AsyncMessageBus], uow: FromDishka[UserServiceUnitOfWork]
) -> Registered:
    """Be a user. A mail asks whether the address is right."""
    results = await bus.handle(RegisterUser(name=new.name, email=EmailAddress(new.email)), uow)
    response.headers["Location"] = f"{router.prefix}/{results.first}"
    return Registered(id=results.first)


@router.get("/{user_id}", responses={404: {"description": "There is no such user"}})
async def show(user_id: UUID, uow: FromDishka[UserServiceUnitOfWork]) -> KnownUser:
    """Who this is."""
    async with uow:
        user = await uow.users.find(UserId(user_id))
    if user is None:
        raise HTTPException(404, f"there is no user {user_id}")
    return KnownUser.of(user)
