"""A celery worker whose processes are profiled, each by itself:

    celery --workdir examples --app celery_app worker --concurrency 2
"""

import celery
import googlecloudprofiler

googlecloudprofiler.start(service="shop")

app = celery.Celery("shop", broker="redis://localhost")


@app.task(name="price_basket", ignore_result=True)
def price_basket():
    return sum(i * i % 7 for i in range(200000))
