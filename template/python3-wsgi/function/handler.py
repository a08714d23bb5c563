"""What this function does."""

from flask import Flask, request

app = Flask(__name__)


@app.route("/", methods=["GET", "POST"])
def hello():
    return "hello " + request.get_data(as_text=True)
