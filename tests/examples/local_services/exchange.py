"""An exchange-rate API of the kind of frankfurter.dev, which can be down."""

from __future__ import annotations

from .http import Answer, HttpService, Request


class Exchange(HttpService):
    """Rates of the euro and the dollar on `day`."""

    def __init__(self) -> None:
        super().__init__()
        self.day = "2024-11-25"
        self.rates = {"EUR": {"USD": 1.0495, "CHF": 0.9321}, "USD": {"EUR": 0.95283}}

    def answer(self, request: Request) -> Answer:
        """Answer with the latest rates of a base currency."""
        rates = self.rates.get(request.query.get("base", "EUR"))
        if request.path != "/v1/latest" or rates is None:
            return Answer(404, {"message": "not found"})
        base = request.query.get("base", "EUR")
        return Answer(200, {"amount": 1.0, "base": base, "date": self.day, "rates": rates})
