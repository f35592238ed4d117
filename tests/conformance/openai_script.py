"""A script as people write it for the files of the OpenAI Batch API: it knows nothing of LLMBatch.

requests(…)          lines for the input file, as in the guide: https://platform.openai.com/docs/guides/batch
joined(…)            questions with their answers, as in the cookbook:
                     https://cookbook.openai.com/examples/batch_processing
"""

import json
from typing import Any

from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

Line = dict[str, Any]

MODELS: dict[str, Any] = {
    "/v1/chat/completions": ChatCompletion,
    "/v1/responses": Response,
    "/v1/embeddings": CreateEmbeddingResponse,
}


def request(number: int, url: str, text: str) -> Line:
    """One line of an input file."""
    system = "You are a helpful assistant."
    body: Line = {"model": "gpt-4.1-mini"}
    match url:
        case "/v1/chat/completions":
            messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
            body |= {"messages": messages, "max_tokens": 1000}
        case "/v1/responses":
            body |= {"instructions": system, "input": text, "max_output_tokens": 1000}
        case "/v1/embeddings":
            body = {"model": "text-embedding-3-small", "input": text, "encoding_format": "float"}
    return {"custom_id": f"request-{number}", "method": "POST", "url": url, "body": body}


def written(lines: list[Line]) -> bytes:
    """The input file."""
    return "\n".join(json.dumps(line) for line in lines).encode()  # without a newline at its end, as many are


def joined(asked: bytes, results: bytes, errors: bytes) -> dict[str, Any]:
    """Answers by custom_id, and for what failed its error."""
    urls = {line["custom_id"]: line["url"] for line in map(json.loads, asked.decode().splitlines())}
    answers: dict[str, Any] = {}
    for row in results.decode().splitlines():
        result = json.loads(row)
        assert result["error"] is None
        assert result["response"]["status_code"] == 200
        task_id, body = result["custom_id"], result["response"]["body"]
        MODELS[urls[task_id]].model_validate(body, strict=False)
        answers[task_id] = _content(body)
    for row in errors.decode().splitlines():
        result = json.loads(row)
        failed = result["error"] or result["response"]["body"]["error"]
        assert failed["message"]
        answers[result["custom_id"]] = failed["code"]
    return answers


def _content(body: Line) -> Any:
    """As each API's examples read it."""
    if "choices" in body:
        return body["choices"][0]["message"]["content"]
    if "output" in body:
        return Response.model_validate(body).output_text
    return body["data"][0]["embedding"]
