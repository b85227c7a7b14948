"""Uploaded files of rules: checked or imported at once when small, by a worker when large."""

import io
from collections import Counter
from dataclasses import asdict, replace
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from knowledge import jobs
from knowledge.importing import Import, Line, drafted, publish, publishable
from knowledge.indexing import analyse
from knowledge.models import ImportFile, Job, Scene
from knowledge.reading import Row, read_rows
from wowconsole.committing import after_commit
from wowconsole.errors import Invalid
from wowconsole.roles import can

MAX_FILE_BYTES = 20 * 1024 * 1024
AT_ONCE_ROWS = 200  # about a second of work
AT_ONCE_PUBLISHED = 20  # rules embedded while somebody waits
CHUNK_ROWS = 100  # written in one transaction
PUBLISH_ROWS = 10  # with fifty wordings each this stays far below the lease
SHOWN_CHARACTERS = 1000  # of what a line says
TASK = "knowledge.tasks.import_file"


def upload(
    *, by: User, name: str, content: bytes, scene: Scene | None, publish: bool, dry_run: bool
) -> ImportFile:
    """Take a file in. A small one is done when this returns, a large one is a worker's.

    Raises:
        Invalid: the file is too large, empty, or unreadable within its first rows.
    """
    if len(content) > MAX_FILE_BYTES:
        raise Invalid(f"The file is larger than {MAX_FILE_BYTES // 2**20} MB. Cut it into several.")
    limit = AT_ONCE_PUBLISHED if publish and not dry_run else AT_ONCE_ROWS
    small = _is_small(content, name, limit)
    verb = "Check" if dry_run else "Import"
    with transaction.atomic():
        # A small one is not sent, but is taken up by a worker should this process die.
        job = Job.objects.create(task=TASK, title=_storable(f"{verb} {name}")[:200], by=by)
        file = ImportFile.objects.create(
            job=job,
            name=name[-200:],
            content=content,
            scene=scene,
            publish=publish,
            dry_run=dry_run,
        )
        if not small:
            after_commit(jobs.send, job)
    if small:
        import_file(job.pk)
    return file


def import_checked(file: ImportFile, by: User) -> ImportFile:
    """Import the file of a finished dry run; its bytes move on, so this is done once.

    Raises:
        Invalid: it was no dry run, or its bytes are gone.
    """
    with transaction.atomic():
        file = ImportFile.objects.select_for_update(of=("self",)).get(pk=file.pk)
        content = bytes(file.content)
        if not (file.dry_run and content):
            raise Invalid("This file was imported already. Its result is in the list of imports.")
        _forget(file)
    return upload(
        by=by,
        name=file.name,
        content=content,
        scene=file.scene,
        publish=file.publish,
        dry_run=False,
    )


def import_file(job_pk: int) -> None:
    """Do an import, from wherever the last worker left it."""
    with jobs.at_work(job_pk) as job:
        if job is None:
            return
        file = ImportFile.objects.select_related("scene").get(job=job)
        _import(job, file)
        if not file.dry_run:
            _forget(file)


def summary(report: list[dict[str, Any]]) -> dict[str, int]:
    """Count the lines by what became of them."""
    return dict(Counter(line["action"] for line in report))


def _is_small(content: bytes, name: str, limit: int) -> bool:
    return all(count <= limit for count, _ in enumerate(read_rows(io.BytesIO(content), name), 1))


def _forget(file: ImportFile) -> None:
    file.content = b""
    file.save(update_fields=["content"])


def _import(job: Job, file: ImportFile) -> None:
    if not can(job.by, "knowledge.write"):
        raise Invalid("You may not write rules any more; nothing further was imported.")
    rows = list(read_rows(io.BytesIO(bytes(file.content)), file.name))  # all of it, or nothing
    work = Import(
        author=job.by,
        scenes={scene.slug: scene for scene in Scene.objects.visible_to(job.by)},
        scene=file.scene,
        publisher=job.by if file.publish else None,
    )
    work.remember(rows[: job.done])
    jobs.advance(job, done=job.done, total=max(job.total, len(rows)))
    for start in range(job.done, len(rows), CHUNK_ROWS):
        _write(job, file, work, rows[start : start + CHUNK_ROWS])
    if file.publish and not file.dry_run:
        _publish(job, file, len(rows))
        analyse()


def _write(job: Job, file: ImportFile, work: Import, rows: list[Row]) -> None:
    done = job.done + len(rows)
    with jobs.step(job, done=done, note=f"Row {done} of {job.total}"):
        lines = work.rehearse(rows) if file.dry_run else work.write(rows)
        _tell(file, file.report + [_told(line) for line in lines])


def _told(line: Line) -> dict[str, Any]:
    name = line.external_id and _storable(line.external_id)
    return asdict(replace(line, external_id=name, error=_storable(line.error)))


def _storable(text: str) -> str:
    """Cut a text to what a report shows, without NUL, which jsonb refuses."""
    return text[:SHOWN_CHARACTERS].replace("\0", "\ufffd")


def _publish(job: Job, file: ImportFile, rows: int) -> None:
    lines = [Line(**line) for line in file.report]
    written = [index for index, line in enumerate(lines) if line.unit]
    jobs.advance(job, done=job.done, total=rows + len(written), note="Publishing")
    for start in range(job.done - rows, len(written), PUBLISH_ROWS):
        some = written[start : start + PUBLISH_ROWS]
        # Twice does no harm: what is live is passed over.
        refused = publish(publishable([lines[index] for index in some]), job.by)
        for index in some:
            lines[index] = drafted(lines[index], refused)
        with jobs.step(job, done=job.done + len(some), note="Publishing"):
            if refused:
                _tell(file, [asdict(line) for line in lines])


def _tell(file: ImportFile, report: list[dict[str, Any]]) -> None:
    file.report = report
    file.save(update_fields=["report"])
