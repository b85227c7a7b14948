"""A web process keeps its connections in a pool, and the database may drop them."""

from copy import deepcopy

from django.conf import settings
from django.db import ConnectionHandler, connection
from django.test import TransactionTestCase


class PoolTests(TransactionTestCase):
    def test_connections_that_the_database_dropped_are_replaced(self):
        pooled = deepcopy(connection.settings_dict)
        pooled["CONN_HEALTH_CHECKS"] = settings.DATABASES["default"]["CONN_HEALTH_CHECKS"]
        pooled["OPTIONS"]["pool"] = {"min_size": 2, "max_size": 2, "timeout": 10}
        ours = ConnectionHandler({"default": pooled})["default"]
        self.addCleanup(ours.close_pool)
        processes = [self.process_of(ours) for _ in range(2)]
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", [processes])
        assert self.process_of(ours) not in processes
        assert self.process_of(ours) not in processes

    def process_of(self, ours):
        """Return the server's process for the connection that a request is given."""
        with ours.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            [process] = cursor.fetchone()
        ours.close()
        return process
