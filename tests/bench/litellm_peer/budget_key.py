"""Keys with a budget, without LiteLLM's own database (its client downloads an engine at install time).

The key says its budget: `sk-bench-0.5` may spend half a dollar.
"""

from fastapi import Request
from litellm.proxy._types import UserAPIKeyAuth, hash_token


async def authenticate(request: Request, api_key: str) -> UserAPIKeyAuth:  # noqa: ARG001 - the vendor's signature
    budget = float(api_key.rsplit("-", 1)[1])
    return UserAPIKeyAuth(api_key=api_key, token=hash_token(api_key), max_budget=budget, spend=0.0)
