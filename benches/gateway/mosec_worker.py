"""The `predict` of bench.py as a mosec service with two workers."""

from mosec import Server, Worker


class Predict(Worker):
    """Doubles the value."""

    def forward(self, data: dict) -> dict:
        return {"result": data["value"] * 2}


if __name__ == "__main__":
    server = Server()
    server.append_worker(Predict, num=2)
    server.run()
