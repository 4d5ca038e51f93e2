"""What server.py promises in its README, asked by plain clients of the standard library. It knows nothing of forebay."""

import concurrent.futures
import email.utils
import http.client
import json
import socket
import subprocess
import sys
import unittest
import urllib.error
import urllib.request

from client import LIMIT, PROGRAM, Server


class Case(unittest.TestCase):
    """One server for all tests, forgetful between them."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.server.post("/_reset")

    def get(self, path="/usage", **headers):
        """Status, headers and body of a GET."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.server.url(path), headers=named), timeout=LIMIT
            ) as got:
                return got.status, got.headers, got.read()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.headers, answer.read()

    def post(self, where, /, **fields):
        """Status and JSON of a POST."""
        try:
            return 200, self.server.post(where, **fields)
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, json.load(answer)


class Answers(Case):
    def test_without_a_script_it_answers_another_number_each_time(self):
        bodies = [json.loads(self.get()[2]) for _ in range(3)]
        self.assertEqual([body["used"] for body in bodies], [42, 42, 42])
        self.assertEqual(len({body["n"] for body in bodies}), 3)

    def test_a_script_is_followed_and_its_last_step_stays(self):
        self.server.script("/usage", 429, 503, 200, 403)
        self.assertEqual([self.get()[0] for _ in range(6)], [429, 503, 200, 403, 403, 403])
        self.assertEqual([entry["status"] for entry in self.server.requests("/usage")], [429, 503, 200, 403, 403, 403])

    def test_each_path_has_its_own_script(self):
        self.server.script("/a", 500)
        self.assertEqual([self.get("/a")[0], self.get("/b")[0]], [500, 200])
        self.assertEqual(self.server.log()["counts"], {"/a": 1, "/b": 1})

    def test_an_etag_is_compared(self):
        self.server.script("/usage", {"etag": '"e1"', "body": {"used": 7}})
        status, headers, body = self.get()
        self.assertEqual((status, headers["ETag"], json.loads(body)), (200, '"e1"', {"used": 7}))
        self.assertEqual(self.get(If_None_Match='"e0"')[0], 200)
        status, headers, body = self.get(If_None_Match='"e1"')
        self.assertEqual((status, headers["ETag"], body), (304, '"e1"', b""))

    def test_retry_after_is_sent_as_it_is_said(self):
        for said in ("120", "0", "99999999999999", "soon"):
            self.server.script("/usage", {"status": 429, "retry_after": said})
            self.assertEqual(self.get()[1]["Retry-After"], said)
        self.server.script("/usage", 429)
        self.assertNotIn("Retry-After", self.get()[1])

    def test_dates_and_epochs_count_from_the_servers_now(self):
        self.server.post("/_set", now=1_800_000_000)
        self.server.script("/usage", {"status": 429, "retry_after_date": 60, "reset_epoch": 90})
        headers = self.get()[1]
        self.assertEqual(email.utils.parsedate_to_datetime(headers["Retry-After"]).timestamp(), 1_800_000_060)
        self.assertEqual(headers["X-RateLimit-Reset"], "1800000090")

    def test_a_revoked_token_is_refused_everywhere_and_uses_up_no_step(self):
        self.server.script("/usage", 200, 503)
        self.server.revoke("old")
        self.assertEqual(self.get(Authorization="Bearer old")[0], 401)
        self.assertEqual(self.get("/other", Authorization="Bearer old")[0], 401)
        self.assertEqual(self.get(Authorization="Bearer new")[0], 200)
        self.assertEqual([entry["token"] for entry in self.server.requests("/usage")], ["old", "new"])

    def test_requests_that_make_no_sense_are_refused_whole(self):
        for change in (
            {"path": "/usage", "script": [{"statsu": 200}]},
            {"path": "/usage", "script": ["explode"]},
            {"path": "/usage", "script": []},
            {"script": [200]},
            {"speed": 1},
        ):
            self.assertEqual(self.post("/_set", **change)[0], 400, change)
        self.assertEqual(self.get()[0], 200)
        self.assertEqual(self.get("/_what")[0], 404)
        self.assertEqual(self.get("/token")[0], 400)


class Trouble(Case):
    def test_garbage_is_no_json(self):
        self.server.script("/usage", "garbage")
        status, headers, body = self.get()
        self.assertEqual((status, headers["Content-Type"]), (200, "application/json"))
        with self.assertRaises(ValueError):
            json.loads(body)

    def test_a_truncated_answer_ends_in_the_middle(self):
        self.server.script("/usage", "truncate")
        with self.assertRaises(http.client.IncompleteRead):
            self.get()

    def test_a_reset_breaks_the_connection(self):
        self.server.script("/usage", "reset")
        with self.assertRaises(ConnectionResetError):
            self.get()
        self.assertIsNone(self.server.requests("/usage")[0]["status"])

    def test_a_hang_lasts_until_the_client_leaves(self):
        self.server.script("/usage", "hang", 200)
        with socket.create_connection(("127.0.0.1", int(self.server.base.rpartition(":")[2])), timeout=LIMIT) as client:
            client.sendall(b"GET /usage HTTP/1.1\r\nHost: x\r\n\r\n")
            self.server.requests("/usage", at_least=1)
            client.setblocking(False)
            with self.assertRaises(BlockingIOError):
                client.recv(1)
        self.assertEqual(self.get()[0], 200)

    def test_a_held_answer_waits_for_its_release_and_others_pass_it(self):
        self.server.script("/usage", {"hold": True, "status": 401}, 200)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            held = pool.submit(self.get)
            self.server.requests("/usage", at_least=1)
            self.assertEqual(self.get()[0], 200)
            self.assertFalse(held.done())
            self.server.release("/usage")
            self.assertEqual(held.result(LIMIT)[0], 401)

    def test_hundreds_at_once_are_each_counted(self):
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            numbers = [json.loads(body)["n"] for _, _, body in pool.map(lambda _: self.get(), range(300))]
        self.assertEqual(sorted(numbers), list(range(1, 301)))
        self.assertEqual(self.server.count("/usage"), 300)

    def test_it_ends_with_its_input(self):
        child = subprocess.Popen([sys.executable, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertTrue(int(child.stdout.readline()))
        child.communicate(timeout=LIMIT)
        self.assertEqual(child.returncode, 0)


class RefreshTokens(Case):
    def tokens(self):
        return self.server.log()["tokens"]

    def exchange(self, pair):
        return self.post("/token", grant_type="refresh_token", refresh_token=pair["refresh_token"])

    def test_each_is_good_once(self):
        first = self.post("/login", account="me")[1]
        status, second = self.exchange(first)
        self.assertEqual(status, 200)
        self.assertEqual(
            len({first["refresh_token"], second["refresh_token"], first["access_token"], second["access_token"]}), 4
        )
        self.assertEqual(self.exchange(second)[0], 200)
        self.assertEqual(self.tokens()["violations"], [])
        self.assertEqual(self.exchange(first), (400, {"error": "invalid_grant"}))
        self.assertEqual(self.tokens()["violations"], [first["refresh_token"]])
        self.assertEqual([entry["exchanged"] for entry in self.server.requests("/token")], [True, True, False])

    def test_an_unknown_one_is_no_violation(self):
        self.assertEqual(self.exchange({"refresh_token": "made up"})[0], 400)
        self.assertEqual(self.tokens(), {"issued": 0, "used": 0, "violations": [], "unknown": 1})

    def test_seeds_and_forms_are_taken(self):
        self.server.post("/_set", seed=["first-token"])
        form = urllib.request.Request(
            self.server.url("/token"), data=b"grant_type=refresh_token&refresh_token=first-token"
        )
        with urllib.request.urlopen(form, timeout=LIMIT) as answer:
            self.assertIn("refresh_token", json.load(answer))

    def test_refused_before_the_exchange_the_token_stays_good(self):
        first = self.post("/login")[1]
        self.server.script("/token", 503, {"status": 429, "retry_after": "3"}, {"do": "reset", "process": False}, 200)
        self.assertEqual([self.exchange(first)[0] for _ in range(2)], [503, 429])
        with self.assertRaises(ConnectionError):
            self.exchange(first)
        self.assertEqual(self.exchange(first)[0], 200)
        self.assertEqual([entry.get("exchanged") for entry in self.server.requests("/token")], [None, None, None, True])

    def test_sent_and_its_answer_unknown_the_token_is_used_up(self):
        for step in ("reset", "truncate", {"status": 500, "process": True}):
            first = self.post("/login")[1]
            self.server.script("/token", step, 200)
            try:
                status, body = self.exchange(first)
                self.assertEqual((status, "refresh_token" in body), (500, False))
            except (ConnectionError, http.client.IncompleteRead):
                pass
            self.assertEqual(self.exchange(first)[0], 400, step)
        self.assertEqual(len(self.tokens()["violations"]), 3)

    def test_a_late_answer_was_exchanged_when_it_was_asked(self):
        first = self.post("/login")[1]
        self.server.script("/token", {"hold": True}, 200)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            late = pool.submit(self.exchange, first)
            self.server.requests("/token", at_least=1)
            self.assertEqual(self.exchange(first)[0], 400)
            self.server.release("/token")
            self.assertEqual(late.result(LIMIT)[0], 200)


if __name__ == "__main__":
    unittest.main()
