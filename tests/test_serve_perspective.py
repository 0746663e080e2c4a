"""Perspective's shape, asked over loopback: by its real clients, unmodified, and by hand."""

from __future__ import annotations

import gc
import json
import socket
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from googleapiclient import discovery
from googleapiclient.errors import HttpError
from hypothesis import given
from hypothesis import strategies as st
from perspective.blocking import Attribute, Perspective
from perspective.models import Score

from civilly.data.readings import read_readings
from civilly.serve.perspective_attributes import utf16
from civilly.serve.perspective_batch import Answer, calls, multipart
from civilly.serve.perspective_errors import PerspectiveError
from civilly.serve.settings import Settings
from served import warm

HOST = "commentanalyzer.googleapis.com"
"""Where Perspective was."""
KEY = "a-key-of-ours"
RUDE, CIVIL = "You are a stupid idiot.", "The meeting starts at nine."


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with warm(Settings(method="delete")) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with feedback."""
    return tmp_path_factory.mktemp("feedback") / "feedback.jsonl"


@pytest.fixture(scope="module")
def locked(kept: Path) -> Iterator[str]:
    """A server that wants a key, serves more attributes and keeps feedback."""
    settings = Settings(method="delete", keys=(KEY,), perspective_attributes="proxy", feedback=kept)
    with warm(settings) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


def google(url: str, key: str = KEY) -> Any:
    """Google's client; nothing but the address is ours."""
    return discovery.build(
        "commentanalyzer",
        "v1alpha1",
        developerKey=key,
        discoveryServiceUrl=f"{url}/$discovery/rest?version=v1alpha1",
        static_discovery=False,
    )


def asked(text: str = RUDE, *attributes: str, **more: Any) -> dict[str, Any]:
    requested = {name: {} for name in attributes or ("TOXICITY",)}
    return {"comment": {"text": text}, "requestedAttributes": requested, **more}


def analyzed(http: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = http.post("/v1alpha1/comments:analyze", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def summary(answer: dict[str, Any], name: str = "TOXICITY") -> float:
    return float(answer["attributeScores"][name]["summaryScore"]["value"])


# --- Google's own client -------------------------------------------------------------------------


def test_googles_client_scores_comments(url: str) -> None:
    comments = google(url).comments()
    rude = comments.analyze(body=asked(RUDE, doNotStore=True, clientToken="t")).execute()
    civil = comments.analyze(body=asked(CIVIL)).execute()
    assert summary(rude) > 0.8 > 0.3 > summary(civil)
    assert rude["languages"] == rude["detectedLanguages"] == ["en"]
    assert rude["clientToken"] == "t"
    assert "clientToken" not in civil


def test_googles_client_reads_our_errors(url: str) -> None:
    comments = google(url).comments()
    with pytest.raises(HttpError) as caught:
        comments.analyze(body=asked(RUDE, "TOXICITY", languages=["pt"])).execute()
    assert caught.value.status_code == 400
    assert caught.value.reason == "Attribute TOXICITY does not support request languages: pt"
    (detail,) = caught.value.error_details
    assert detail["errorType"] == "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE"
    assert detail["languageNotSupportedByAttributeError"]["attribute"] == "TOXICITY"


def test_googles_client_sends_batches(locked: str) -> None:
    service = google(locked)
    texts = [RUDE, CIVIL, "", "Ты идиот, дурак тупой.", 'He said: "\r\n\r\n--=== 😀"', *["No"] * 20]
    got: dict[str, Any] = {}

    def take(number: str, answer: Any, error: Any) -> None:
        got[number] = error or answer

    batch = service.new_batch_http_request(callback=take)
    for number, text in enumerate(texts):
        body = asked(text, "TOXICITY", clientToken=f"{number} ü")
        batch.add(service.comments().analyze(body=body), request_id=f"n {number}/+")
    batch.execute()
    results = [got[f"n {number}/+"] for number in range(len(texts))]
    assert isinstance(results[2], HttpError)
    assert results[2].error_details[0]["errorType"] == "COMMENT_EMPTY"
    others = [(i, each) for i, each in enumerate(results) if i != 2]
    assert [each["clientToken"] for _, each in others] == [f"{i} ü" for i, _ in others]
    assert summary(results[0]) > 0.8 > 0.3 > summary(results[1])
    assert results[3]["detectedLanguages"] == ["ru"]


def test_googles_client_is_told_of_wrong_keys(locked: str) -> None:
    service = google(locked, "another")
    with pytest.raises(HttpError) as caught:
        service.comments().analyze(body=asked()).execute()
    assert caught.value.status_code == 400  # not 401: so Google's
    assert caught.value.reason == "API key not valid. Please pass a valid API key."
    assert caught.value.error_details[0]["reason"] == "API_KEY_INVALID"
    got: list[Any] = []
    batch = service.new_batch_http_request(callback=lambda *answer: got.append(answer))
    batch.add(service.comments().analyze(body=asked()))
    batch.execute()
    ((_, answer, error),) = got
    assert answer is None
    assert error.error_details[0]["reason"] == "API_KEY_INVALID"


def suggested(text: str, value: float, **more: Any) -> dict[str, Any]:
    scores = {"TOXICITY": {"summaryScore": {"value": value}}}
    return {"comment": {"text": text}, "attributeScores": scores, **more}


def test_googles_client_suggests_scores(locked: str, kept: Path) -> None:
    comments = google(locked).comments()
    body = suggested(
        RUDE,
        1.0,
        languages=["en"],
        communityId="Coral:https://example.org",
        clientToken="comment:1",
        context={"entries": [{"text": '{"id": 1}'}]},
    )
    answer = comments.suggestscore(body=body).execute()
    assert answer == {
        "clientToken": "comment:1",
        "requestedLanguages": ["en"],
        "detectedLanguages": ["en"],
    }
    comments.suggestscore(body=suggested(CIVIL, 0)).execute()
    comments.suggestscore(body=suggested("Um texto", 1, languages=["pt"])).execute()
    rude, civil = read_readings(kept)  # what is in none of our languages is not kept
    assert (rude.text, rude.rewrite, rude.lang, rude.fault, rude.use) == (
        RUDE,
        RUDE,
        "en",
        "kept",
        0,
    )
    assert (civil.text, civil.fault, civil.use) == (CIVIL, "good", 2)
    assert "Coral:https://example.org" in rude.note


def test_scores_are_not_kept_unasked(http: httpx.Client) -> None:
    answer = http.post("/v1alpha1/comments:suggestscore", json=suggested(RUDE, 1))
    assert answer.json() == {"requestedLanguages": [], "detectedLanguages": ["en"]}


# --- another client, which knows one address only ------------------------------------------------


@pytest.fixture
def in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Perspective's name leads here, and a certificate of an authority of our own is trusted."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    certificate = authority.issue_cert(HOST)
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    resolve = socket.getaddrinfo
    settings = Settings(method="delete", keys=(KEY,), perspective_attributes="proxy")
    with warm(settings, ssl_certfile=str(tmp_path / "server.pem")) as port:

        def resolved(host: Any, at: Any, *rest: Any, **options: Any) -> Any:
            known = host in (HOST, HOST.encode())
            return resolve(*(("127.0.0.1", port) if known else (host, at)), *rest, **options)

        monkeypatch.setattr(socket, "getaddrinfo", resolved)
        yield
        gc.collect()  # that client closes its connections with its last breath only


@pytest.mark.usefixtures("in_its_place")
def test_the_client_perspectiveapi_finds_us_in_perspectives_place() -> None:
    client = Perspective(KEY)
    attributes = [Attribute.TOXICITY, Attribute.SEVERE_TOXICITY, Attribute.INSULT, Attribute.THREAT]
    rude, civil = client.score(RUDE, attributes), client.score(CIVIL, attributes)
    assert isinstance(rude, Score)
    assert rude.toxicity > 0.8 > 0.3 > civil.toxicity
    assert civil.severe_toxicity < civil.toxicity < rude.severe_toxicity < rude.toxicity
    assert rude.insult == rude.toxicity
    assert client.score("I will kill you.", attributes).threat == 1.0
    assert rude.threat == 0.0
    with pytest.raises(KeyError):  # it looks for scores and finds an error
        client.score(RUDE, [Attribute.FLIRTATION])
    with pytest.raises(KeyError):
        Perspective("another").score(RUDE)


# --- requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [{}, {"content-type": "application/x-www-form-urlencoded"}, {"content-type": "text/plain"}],
)
def test_the_content_type_does_not_matter(http: httpx.Client, headers: dict[str, str]) -> None:
    body = json.dumps(asked()).encode()
    for path in ("comments:analyze", "comments%3Aanalyze"):
        answer = http.post(f"/v1alpha1/{path}?key=x&alt=json", content=body, headers=headers)
        assert summary(answer.json()) > 0.8


def test_snake_case_nulls_and_unknown_fields(http: httpx.Client) -> None:
    answer = analyzed(
        http,
        comment={"text": RUDE, "type": None, "lang": 7},
        requested_attributes={"TOXICITY": None},
        client_token="t",
        span_annotations=None,
        more={"deep": []},
    )
    assert summary(answer) > 0.8
    assert answer["clientToken"] == "t"


def test_a_lone_surrogate_is_no_error(http: httpx.Client) -> None:
    body = json.dumps(asked("you idiot \ud83d", clientToken="\ud83d")).encode()
    answer = http.post("/v1alpha1/comments:analyze", content=body)
    assert answer.json()["clientToken"] == "\ud83d"
    assert answer.json()["attributeScores"]["TOXICITY"]["spanScores"][0]["end"] == 11


def test_names_of_attributes(http: httpx.Client) -> None:
    names = ("TOXICITY", "TOXICITY_EXPERIMENTAL", "TOXICITY@5", "TOXICITY_EXPERIMENTAL@2")
    scores = analyzed(http, **asked(RUDE, *names))["attributeScores"]
    assert list(scores) == [*names]
    assert all(each == scores["TOXICITY"] for each in scores.values())


def test_a_score_below_the_threshold_is_left_out(http: httpx.Client) -> None:
    for least, there in ((0.5, True), (1.0, False)):
        body = asked(RUDE, "TOXICITY")
        body["requestedAttributes"]["TOXICITY"] = {"scoreThreshold": least}
        assert ("TOXICITY" in analyzed(http, **body)["attributeScores"]) is there


def test_the_policies(http: httpx.Client, locked: str) -> None:
    names = ("TOXICITY", "SEVERE_TOXICITY", "INSULT", "PROFANITY", "IDENTITY_ATTACK", "THREAT")
    strict = http.post("/v1alpha1/comments:analyze", json=asked(RUDE, *names))
    assert strict.status_code == 400
    assert strict.json()["error"]["message"] == "Unknown requested attribute: SEVERE_TOXICITY"
    assert len(strict.json()["error"]["details"]) == 4
    ask, headers = f"{locked}/v1alpha1/comments:analyze", {"X-Goog-Api-Key": KEY}
    proxy = httpx.post(ask, json=asked(RUDE, *names), headers=headers)
    assert list(proxy.json()["attributeScores"]) == [*names]


# --- spans ---------------------------------------------------------------------------------------


def test_the_whole_text_is_a_span(http: httpx.Client) -> None:
    text = "😀 you idiot. 😀 Nice day!"
    (span,) = analyzed(http, **asked(text))["attributeScores"]["TOXICITY"]["spanScores"]
    assert (span["begin"], span["end"]) == (0, len(text) + 2)
    assert span["score"]["value"] == summary(analyzed(http, **asked(text)))


def test_sentences_are_spans_in_utf16(http: httpx.Client) -> None:
    text = "😀 You are an idiot. The 😀 meeting starts at nine. You fool!"
    answer = analyzed(http, **asked(text, spanAnnotations=True))
    spans = answer["attributeScores"]["TOXICITY"]["spanScores"]
    units = text.encode("utf-16-le")
    parts = [units[2 * span["begin"] : 2 * span["end"]].decode("utf-16-le") for span in spans]
    assert parts == ["😀 You are an idiot.", "The 😀 meeting starts at nine.", "You fool!"]
    values = [span["score"]["value"] for span in spans]
    assert values[0] > 0.8 > 0.3 > values[1]
    assert summary(answer) == pytest.approx(max(values))


@given(st.text(st.characters(), max_size=30), st.lists(st.integers(0, 30)))
def test_places_in_utf16(text: str, places: list[int]) -> None:
    places = sorted(min(place, len(text)) for place in places)
    expected = [sum(2 if ord(c) > 0xFFFF else 1 for c in text[:place]) for place in places]
    assert utf16(text, places) == expected


# --- languages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "languages", "detected"),
    [
        ("tu chutiya hai yaar", ["hi-Latn"], "hi-Latn"),
        ("अरे बेवकूफ", [], "hi"),
        ("אתה אידיוט", ["iw"], "iw"),
        ("אתה אידיוט", ["he"], "iw"),
        ("你是个白痴", ["zh-Hant-TW"], "zh"),
        ("馬鹿", ["ja"], "ja"),
        ("You idiot", ["en-US"], "en"),
        ("Tu es un idiot, mon pauvre ami", ["en", "fr"], "fr"),
        ("Ты дурак", ["en"], "ru"),  # what a client asks for that does not know better
    ],
)
def test_languages(http: httpx.Client, text: str, languages: list[str], detected: str) -> None:
    answer = analyzed(http, **asked(text, languages=languages))
    assert answer["detectedLanguages"] == [detected]
    assert answer["languages"] == (languages or [detected])


def test_letters_that_are_only_dressed_up_are_read(http: httpx.Client) -> None:
    answer = analyzed(http, **asked("𝘆𝗼𝘂 𝗶𝗱𝗶𝗼𝘁"))
    assert answer["detectedLanguages"] == ["en"]


def test_a_text_without_letters_is_scored(http: httpx.Client) -> None:
    assert summary(analyzed(http, **asked("12:30 !!"))) < 0.5


# --- errors --------------------------------------------------------------------------------------

TOO_LONG = "é" * 20_481


@pytest.mark.parametrize(
    ("body", "error_type", "message"),
    [
        (asked(""), "COMMENT_EMPTY", "Comment must be non-empty."),
        (asked(TOO_LONG), "COMMENT_TOO_LONG", "Comment text too long."),
        ({"comment": {"text": "a"}}, "NO_REQUESTED_ATTRIBUTES", "Missing requested_attributes"),
        (asked("a", "SPAM"), "INVALID_REQUEST", "Unknown requested attribute: SPAM"),
        (asked("안녕하세요"), "LANGUAGE_DETECTION_FAILED", "Unable to detect language"),
        (
            asked("a", languages=["pt", "en", "nl"]),
            "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE",
            "Attribute TOXICITY does not support request languages: pt, nl",
        ),
        (
            {**asked("a"), "comment": {"text": "a", "type": "HTML"}},
            "INVALID_REQUEST",
            "Currently, only 'PLAIN_TEXT' comments are supported",
        ),
        (
            {**asked("a"), "comment": {"text": "a", "type": "RTF"}},
            "INVALID_REQUEST",
            "Unknown text type",
        ),
        (
            {**asked("a"), "requestedAttributes": {"TOXICITY": {"scoreType": "PERCENTILE"}}},
            "INVALID_REQUEST",
            "Requested score type PERCENTILE is not supported by attribute TOXICITY",
        ),
        (
            asked("a", context={"entries": [{"text": "b"}], "articleAndParentComment": {}}),
            "INVALID_REQUEST",
            "Context can have either entries or article_and_parent_comment, "
            "but both fields were populated.",
        ),
    ],
)
def test_errors(http: httpx.Client, body: dict[str, Any], error_type: str, message: str) -> None:
    answer = http.post("/v1alpha1/comments:analyze", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert error["message"] == message
    assert error["details"][0]["errorType"] == error_type
    assert error["details"][0]["@type"].endswith("google.commentanalyzer.v1alpha1.Error")


def test_each_attribute_that_is_refused_has_a_detail(http: httpx.Client) -> None:
    answer = http.post(
        "/v1alpha1/comments:analyze", json=asked("a", "TOXICITY", "THREAT", languages=["ko"])
    )
    details = answer.json()["error"]["details"]
    found = [detail["languageNotSupportedByAttributeError"] for detail in details]
    assert [each["attribute"] for each in found] == ["TOXICITY", "THREAT"]
    assert all(each["requestedLanguages"] == ["ko"] for each in found)


def test_20_kilobytes_are_not_too_long(http: httpx.Client) -> None:
    assert "attributeScores" in analyzed(http, **asked("good day " * 2_275))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b"\xff\xfe\x00", b'"text"', b"[" * 100_000, b"9" * 10_000,
        b'{"comment": "secret words"}', b'{"comment": {"text": ["secret words"]}}',
        b'{"comment": {"text": "a"}, "requestedAttributes": {"TOXICITY": {"scoreThreshold": NaN}}}',
        b'{"comment": {"text": "a"}, "requestedAttributes": ["TOXICITY"]}',
        b'{"comment": {"text": "a"}, "requestedAttributes": {"TOXICITY": "secret words"}}',
    ],
)  # fmt: skip
def test_what_is_no_request(http: httpx.Client, body: bytes) -> None:
    for method in ("analyze", "suggestscore"):
        answer = http.post(f"/v1alpha1/comments:{method}", content=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"
        assert "secret" not in answer.text


def test_keys(locked: str) -> None:
    ask = f"{locked}/v1alpha1/comments:analyze"
    assert httpx.post(ask, params={"key": KEY}, json=asked()).status_code == 200
    missing = httpx.post(ask, json=asked())
    assert (missing.status_code, missing.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
    wrong = httpx.post(ask, params={"key": "é"}, json=asked())
    assert wrong.json()["error"]["details"][0]["metadata"] == {"service": HOST}


def test_pages_of_elsewhere_may_not_ask(http: httpx.Client, url: str) -> None:
    for path in ("/v1alpha1/comments:analyze", "/v1alpha1/comments:suggestscore", "/batch"):
        body = json.dumps({**asked(), **suggested(RUDE, 0)}).encode()
        answer = http.post(path, content=body, headers={"origin": "https://elsewhere.example"})
        assert (answer.status_code, answer.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
    answer = http.post("/v1alpha1/comments:analyze", json=asked(), headers={"origin": url})
    assert answer.status_code == 200


def test_a_body_that_is_too_large(http: httpx.Client) -> None:
    answer = http.post("/v1alpha1/comments:analyze", content=b" " * (4 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 400)


# --- batches, discovery, what Perspective did not have -------------------------------------------


def part(content_id: str, request: str, body: str) -> str:
    head = f"--b\r\nContent-Type: application/http\r\nContent-ID: {content_id}\r\n\r\n"
    return f"{head}{request}\r\nContent-Type: application/json\r\n\r\n{body}\r\n"


def test_a_batch_by_hand(http: httpx.Client) -> None:
    body = json.dumps(asked())
    sent = "".join([
        part("<1>", "POST /v1alpha1/comments%3Aanalyze?key=x HTTP/1.1", body),
        part("two", "POST /v1alpha1/comments:delete HTTP/1.1", body),
        part("<3 é\t>", "", ""),
        "--b--\r\n",
    ])  # fmt: skip
    for path in ("/batch", "/batch/commentanalyzer/v1alpha1"):
        answer = http.post(
            path, content=sent.encode(), headers={"content-type": 'multipart/mixed; boundary="b"'}
        )
        head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
        parts = message_from_bytes(head + answer.content).get_payload()
        assert [p["Content-ID"] for p in parts] == [
            "<response-1>",
            "<response-two>",
            "<response-3 >",
        ]
        first = [p.get_payload().split("\r\n")[0] for p in parts]
        assert first == ["HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", "HTTP/1.1 404 Not Found"]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", "{}"),
        ("multipart/mixed", "--b"),
        ("multipart/mixed; boundary=b", ""),
        ("multipart/mixed; boundary=b", "--b--"),
        ("multipart/mixed; boundary=b", part("<1>", "GET / HTTP/1.1", "") * 300),
    ],
)
def test_what_is_no_batch(http: httpx.Client, content_type: str, body: str) -> None:
    answer = http.post("/batch", content=body.encode(), headers={"content-type": content_type})
    assert answer.status_code == 400
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"


@given(
    st.lists(
        st.sampled_from([b"--b", b"--", b"\r\n", b"\n", b":", b" ", b"Content-ID", b"\xff", b"?"])
    )
)
def test_any_bytes_are_a_batch_or_an_error(pieces: list[bytes]) -> None:
    try:
        asked = calls("multipart/mixed; boundary=b", b"".join(pieces), 5)
    except PerspectiveError as error:
        assert error.status == 400
    else:
        assert 1 <= len(asked) <= 6
        multipart(asked, [Answer(200, {}, b"{}") for _ in asked])


def test_the_discovery_document_names_the_address_that_it_was_asked_at(http: httpx.Client) -> None:
    for path in ("/$discovery/rest", "/%24discovery/rest"):
        answer = http.get(
            path, headers={"host": "civil.example:81"}, params={"version": "v1alpha1"}
        )
        document = answer.json()
        assert document["rootUrl"] == "http://civil.example:81/"
        methods = document["resources"]["comments"]["methods"]
        assert {each["path"] for each in methods.values()} == {
            "v1alpha1/comments:analyze", "v1alpha1/comments:suggestscore",
        }  # fmt: skip


def test_the_civil_suggestion(http: httpx.Client) -> None:
    answer = analyzed(http, **asked("😀 You are a stupid idiot.", civilly={"suggestion": True}))
    more = answer["civilly"]
    assert more["pToxic"] == summary(answer)
    assert more["suggestion"]["changed"]
    assert "idiot" not in more["suggestion"]["text"]
    assert more["suggestion"]["pToxic"] < more["pToxic"]
    units = "😀 You are a stupid idiot.".encode("utf-16-le")
    places = [(2 * span["begin"], 2 * span["end"]) for span in more["spanScores"]]
    marked = [units[start:end].decode("utf-16-le") for start, end in places]
    assert any("idiot" in each for each in marked)
    assert "suggestion" not in analyzed(http, **asked(civilly={}))["civilly"]
    assert "civilly" not in analyzed(http, **asked())
