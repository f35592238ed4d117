"""A category made flesh, as far as it is an error of the API: status, type and code as OpenAI has them.

Spoilt texts are made in answers.py, answers that break on their way in delivery.py. Pure.
"""

from llmbatch_cli.simulator.asked import Asked
from llmbatch_cli.simulator.categories import Category
from llmbatch_cli.simulator.errors import ApiError

_CONTEXT_TOKENS = 8192


def error_of(category: Category | None, asked: Asked) -> ApiError | None:
    """The error a category stands for, with OpenAI's type and code; None if it is no error status."""
    match category:
        case Category.SERVER_ERROR:
            message = "The server had an error while processing your request. Sorry about that! (simulated)"
            return ApiError(500, message, kind="server_error")
        case Category.UNAVAILABLE:
            message = "The service is temporarily unavailable. (simulated)"
            return ApiError(503, message, kind="service_unavailable", wait_s=1.0)
        case Category.OVERLOADED:
            return ApiError(529, "Overloaded. (simulated)", kind="overloaded_error", code="overloaded")
        case Category.RATE_LIMIT:
            message = f"Rate limit reached for {asked.model}. Please try again in 1s. (simulated)"
            return ApiError(429, message, kind="requests", code="rate_limit_exceeded", wait_s=1.0)
        case Category.QUOTA:
            message = "You exceeded your current quota, please check your plan and billing details. (simulated)"
            return ApiError(429, message, kind="insufficient_quota", code="insufficient_quota")
    return _client_error_of(category, asked)


def _client_error_of(category: Category | None, asked: Asked) -> ApiError | None:
    match category:
        case Category.BAD_REQUEST:
            return ApiError(400, "Your request has a value that is not allowed. (simulated)", code="invalid_value")
        case Category.CONTEXT_LENGTH:
            message = (
                f"This model's maximum context length is {_CONTEXT_TOKENS} tokens, but your request is longer. "
                "Please reduce its length. (simulated)"
            )
            return ApiError(400, message, param="messages", code="context_length_exceeded")
        case Category.CONTENT_POLICY:
            message = "Your request was rejected as a result of our safety system. (simulated)"
            return ApiError(400, message, code="content_policy_violation")
        case Category.AUTH:
            return ApiError(401, "Incorrect API key provided. (simulated)", code="invalid_api_key")
        case Category.PERMISSION:
            message = f"You are not allowed to use the model {asked.model}. (simulated)"
            return ApiError(403, message, kind="permission_error", code="permission_denied")
        case Category.NOT_FOUND:
            message = f"The model `{asked.model}` does not exist or you do not have access to it. (simulated)"
            return ApiError(404, message, param="model", code="model_not_found")
    return None
