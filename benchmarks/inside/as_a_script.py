"""What one writes to ask about the rows of a Parquet file in S3: read all with pandas, gather, write all.

A program: `python -m benchmarks.inside.as_a_script ENDPOINT BUCKET SOURCE TARGET IN_FLIGHT`.
"""

import asyncio
import io
import sys

import boto3
import pandas
from openai import AsyncOpenAI

from benchmarks.workload import SYSTEM


async def ask_all(texts: list[str], url: str, in_flight: int) -> list[str | None]:
    """The answer to each text."""
    places = asyncio.Semaphore(in_flight)
    client = AsyncOpenAI(base_url=url, api_key="none")

    async def ask(text: str) -> str | None:
        async with places:
            answer = await client.chat.completions.create(
                model="m",
                temperature=0,
                messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}],
            )
            return answer.choices[0].message.content

    return await asyncio.gather(*(ask(text) for text in texts))


def main() -> None:
    """From the source to the target."""
    url, bucket, source, target, in_flight = sys.argv[1:]
    s3 = boto3.client("s3")
    data = s3.get_object(Bucket=bucket, Key=source)["Body"].read()
    frame = pandas.read_parquet(io.BytesIO(data))
    frame["output"] = asyncio.run(ask_all(list(frame["text"]), url, int(in_flight)))
    written = io.BytesIO()
    frame.to_parquet(written)
    s3.put_object(Bucket=bucket, Key=target, Body=written.getvalue())


if __name__ == "__main__":
    main()
