"""Doors from the queue into the gerunds of knowledge."""

from celery import shared_task

from knowledge import (
    bulk_applying,
    conflicts,
    graphs,
    jobs,
    measuring,
    reindexing,
    submitting,
    uploading,
)


@shared_task
def resend_silent_jobs() -> None:
    """Every few seconds, from beat: no job is lost with its worker or its broker."""
    jobs.resend_silent()


@shared_task
def measure_retrieval(job_pk: int) -> None:
    measuring.measure(job_pk)


@shared_task
def build_index(job_pk: int) -> None:
    reindexing.build(job_pk)


@shared_task
def free_index(job_pk: int) -> None:
    reindexing.free(job_pk)


@shared_task
def keep_scene_graphs() -> None:
    """Every ten minutes, from beat: a scene that has grown is searched through its own graph."""
    graphs.keep_scene_graphs()


@shared_task
def publish_due_rules() -> None:
    """Every few seconds, from beat: what was scheduled goes live at its time."""
    submitting.publish_due()


@shared_task
def import_file(job_pk: int) -> None:
    uploading.import_file(job_pk)


@shared_task
def check_units(unit_pks: list[int]) -> None:
    conflicts.check_units(unit_pks)


@shared_task
def check_base(job_pk: int) -> None:
    with jobs.at_work(job_pk) as job:
        if job:
            conflicts.check_base(job)


@shared_task
def publish_bulk(job_pk: int) -> None:
    bulk_applying.go_live(job_pk)
