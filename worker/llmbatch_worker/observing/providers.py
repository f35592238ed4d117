"""Whose API an endpoint is, by its host, in the words of `gen_ai.provider.name`. Pure.

https://github.com/open-telemetry/semantic-conventions-genai: other values are allowed where none of theirs fits.
"""

OTHER = "openai_compatible"
"""Somebody else's: vLLM, llama.cpp, a gateway."""

_BY_HOST = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "cognitiveservices.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "models.ai.azure.com": "azure.ai.inference",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "api.mistral.ai": "mistral_ai",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
    "ml.cloud.ibm.com": "ibm.watsonx.ai",
}


def provider_of(host: str) -> str:
    """The provider of an endpoint."""
    host = host.lower().rstrip(".")
    for known, provider in _BY_HOST.items():
        if host == known or host.endswith(f".{known}"):
            return provider
    if host.endswith("-aiplatform.googleapis.com"):  # us-central1-aiplatform.googleapis.com
        return "gcp.vertex_ai"
    if host.startswith("bedrock") and host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws")):
        return "aws.bedrock"
    return OTHER
