"""What the club refuses."""


class Refused(Exception):
    """It is not done, and nothing of it remains."""


class AlreadyRegistered(Refused):
    def __init__(self, isbn: str) -> None:
        super().__init__(f"{isbn} is registered already")


class UnknownBook(Refused):
    def __init__(self, isbn: str) -> None:
        super().__init__(f"{isbn} is not registered")


class WrongStars(Refused):
    def __init__(self, stars: int) -> None:
        super().__init__(f"a review gives one to five stars, not {stars}")
