#include "http/http_client.hpp"

#include <atomic>
#include <fstream>
#include <functional>
#include <thread>

#include <doctest/doctest.h>

#include "support/eventually.hpp"
#include "support/process.hpp"
#include "support/socket.hpp"
#include "support/temporary_folder.hpp"

using namespace http;
using namespace std::chrono_literals;

namespace {

// Answers every connection by the words of the test; records what was asked.
class FakeServer {
public:
    using Answer = std::function<std::string(const std::string& request)>;

    explicit FakeServer(Answer answer) : answer_(std::move(answer)), thread_([this] { run(); }) {}
    FakeServer(const FakeServer&) = delete;
    FakeServer& operator=(const FakeServer&) = delete;
    ~FakeServer() {
        stopping_ = true;
        thread_.join();
    }
    std::string url(const std::string& path = "/") const {
        return "http://127.0.0.1:" + std::to_string(listener_.port()) + path;
    }
    int connections() const { return connections_; }

private:
    void run() {
        while (!stopping_) {
            const auto peer = listener_.accept(10ms);
            if (peer.open()) {
                ++connections_;
                serve(peer);
            }
        }
    }
    void serve(const support::Socket& peer) {
        std::string request;
        while (!stopping_) {
            const auto bytes = peer.receive(10ms);
            if (!bytes) {
                return;
            }
            request += *bytes;
            if (request.find("\r\n\r\n") == std::string::npos) {
                continue;
            }
            const std::string answer = answer_(std::exchange(request, ""));
            if (!answer.empty() && (!peer.send(answer) || answer.find("ontent-Length") == std::string::npos)) {
                return;
            }
        }
    }

    Answer answer_;
    support::Listener listener_;
    std::atomic<bool> stopping_{false};
    std::atomic<int> connections_{0};
    std::thread thread_;
};

// A TLS server with a certificate of its own, for localhost and 127.0.0.1.
class TlsServer {
public:
    TlsServer() {
        support::run_command({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                              "-nodes", "-keyout", folder_ / "key", "-out", certificate(), "-days", "2", "-subj",
                              "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"});
        process_ = std::make_unique<support::Process>(
            std::vector<std::string>{"openssl", "s_server", "-quiet", "-www", "-accept",
                                     "127.0.0.1:" + std::to_string(port_), "-cert", certificate(), "-key",
                                     folder_ / "key"},
            folder_ / "log");
        REQUIRE(support::eventually([&] { return support::Socket::connect(port_).open(); }));
    }
    std::string certificate() const { return folder_ / "certificate"; }
    std::string url(const std::string& host = "127.0.0.1") const {
        return "https://" + host + ":" + std::to_string(port_) + "/";
    }
    std::string pin() const {
        support::run_command({"sh", "-c",
                              "openssl x509 -in " + certificate() +
                                  " -pubkey -noout | openssl pkey -pubin -outform der | "
                                  "openssl dgst -sha256 -binary | openssl base64 -A > " +
                                  std::string(folder_ / "pin")});
        std::ifstream stream(folder_ / "pin");
        std::string text;
        stream >> text;
        return "sha256//" + text;
    }

private:
    support::TemporaryFolder folder_;
    int port_ = support::free_port();
    std::unique_ptr<support::Process> process_;
};

std::string failure(const Request& request, const TlsTrust& trust = {}) {
    try {
        return "status " + std::to_string(CurlHttpClientFactory().make_client(trust)->send(request).status);
    } catch (const TransportError& error) {
        return error.what();
    }
}

std::string ok(const std::string& body) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

TEST_CASE("http client: an answer of any status is an answer, with its headers and body") {
    const FakeServer server([](const std::string& request) {
        return "HTTP/1.1 429 Slow down\r\nRetry-After:  30 \r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 3\r\n\r\n" +
               request.substr(0, 3);
    });
    const auto client = CurlHttpClientFactory().make_client({});
    const auto response =
        client->send({.method = "PUT", .url = server.url("/x"), .headers = {{"A", "b"}}, .body = "z"});

    CHECK(response.status == 429);
    CHECK(response.body == "PUT");
    CHECK(header(response, "retry-after") == "30");
    CHECK(response.headers.count("x-a") == 2);
    CHECK_FALSE(header(response, "absent").has_value());
}

TEST_CASE("http client: sends what it was told and keeps the connection") {
    std::string last;
    const FakeServer server([&](const std::string& request) {
        last = request;
        return ok("fine");
    });
    const auto client = CurlHttpClientFactory().make_client({});
    client->send({.method = "POST", .url = server.url("/api?x=1"), .headers = {{"Authorization", "Bearer t"}}});
    CHECK(last.starts_with("POST /api?x=1 HTTP/1.1\r\n"));
    CHECK(last.find("Authorization: Bearer t\r\n") != std::string::npos);
    client->send({.url = server.url()});
    CHECK(last.starts_with("GET / HTTP/1.1\r\n"));
    CHECK(last.find("Authorization") == std::string::npos);
    CHECK(server.connections() == 1);
}

TEST_CASE("http client: does not wait longer than it was told") {
    const FakeServer server([](const std::string&) { return ""; });
    const auto begin = std::chrono::steady_clock::now();

    CHECK(failure({.url = server.url(), .timeout = 150ms}).find("timed out") != std::string::npos);
    CHECK(failure({.url = server.url(), .timeout = 0ms}).find("time") != std::string::npos);
    CHECK(std::chrono::steady_clock::now() - begin < 2s);
}

TEST_CASE("http client: refused, cut off and oversized are errors that name the host") {
    const int closed = support::free_port();
    const auto place = "http://127.0.0.1:" + std::to_string(closed);
    CHECK(failure({.url = place + "/secret"}).starts_with(place + ": "));

    const FakeServer cut([](const std::string&) { return "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort"; });
    CHECK(failure({.url = cut.url()}).find("transfer closed") != std::string::npos);

    const FakeServer large([](const std::string&) { return ok(std::string(5UL * 1024 * 1024, 'x')); });
    CHECK(failure({.url = large.url()}).find("answer is larger than 4194304 bytes") != std::string::npos);

    const FakeServer endless([](const std::string&) {
        return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n500000\r\n" + std::string(0x500000, 'x');
    });
    CHECK(failure({.url = endless.url()}).find("answer is larger") != std::string::npos);

    const FakeServer garbage([](const std::string&) { return "\x01\x02 no HTTP\r\n\r\n"; });
    CHECK(failure({.url = garbage.url()}).find("status") == std::string::npos);
}

TEST_CASE("http client: follows no redirect") {
    const FakeServer server([](const std::string&) {
        return "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n";
    });
    CHECK(failure({.url = server.url()}) == "status 302");
}

TEST_CASE("http client: http and https only") {
    for (const char* url : {"file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/", "", "http://",
                            "http:///x", "not a url", "http://a b/", "http://127.0.0.1:99999/"}) {
        CAPTURE(url);
        CHECK(failure({.url = url}).find("status") == std::string::npos);
    }
}

TEST_CASE("http client: no error shows a credential") {
    const auto port = std::to_string(support::free_port());
    for (const std::string& url :
         {"http://user:hunter2@127.0.0.1:" + port + "/?token=hunter2", "http://127.0.0.1:" + port + "/hunter2",
          std::string("http://user:hunter2@/"), std::string("http://user:hun/ter2hunter2@host/"),
          std::string("ftp://user:hunter2@127.0.0.1/"), std::string("http://user:hunter2@127.0.0.1:x/")}) {
        CAPTURE(url);
        CHECK(failure({.url = url, .timeout = 500ms}).find("hunter2") == std::string::npos);
    }
}

TEST_CASE("http client: a line break in a header cannot become a header of its own") {
    const FakeServer server([](const std::string&) { return ok(""); });
    CHECK(failure({.url = server.url(), .headers = {{"Authorization", "Bearer t\r\nX-Evil: 1"}}}) ==
          server.url("") + ": a request header holds a line break");
    CHECK(failure({.method = "GET /\r\nX: y", .url = server.url()}) == server.url("") + ": not an HTTP method");
    CHECK(failure({.method = "", .url = server.url()}) == server.url("") + ": not an HTTP method");
}

TEST_CASE("http client: trusts a certificate only as it was told") {
    const TlsServer server;
    const Request request{.url = server.url()};
    const std::string wrong_pin = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    CHECK(failure(request).find("self-signed") != std::string::npos);
    CHECK(failure(request, {.mode = TlsTrust::Mode::accept_any}) == "status 200");
    CHECK(failure(request, {.mode = TlsTrust::Mode::ca_file, .ca_file = server.certificate()}) == "status 200");
    CHECK(failure(request, {.mode = TlsTrust::Mode::ca_file, .ca_file = "/no/such"}).find("status") ==
          std::string::npos);
    CHECK(failure(request, {.mode = TlsTrust::Mode::pinned, .pin = server.pin()}) == "status 200");
    CHECK(failure(request, {.mode = TlsTrust::Mode::pinned, .pin = wrong_pin}).find("does not match") !=
          std::string::npos);
    CHECK(failure(request, {.mode = TlsTrust::Mode::pinned, .pin = ""}).find("status") == std::string::npos);
    CHECK(failure(request, {.mode = TlsTrust::Mode::pinned, .pin = "rubbish"}).find("status") == std::string::npos);
}

TEST_CASE("http client: a pin is worth nothing without TLS, and that is said") {
    const FakeServer server([](const std::string&) { return ok(""); });
    CHECK(failure({.url = server.url()}, {.mode = TlsTrust::Mode::pinned, .pin = "sha256//x"}) ==
          server.url("") + ": a pinned key needs https");
}

TEST_CASE("http client: answers a digest challenge without showing the password") {
    std::vector<std::string> requests;
    const FakeServer server([&](const std::string& request) -> std::string {
        requests.push_back(request);
        if (requests.size() == 1) {
            return "HTTP/1.1 401 Unauthorized\r\nX-Seen: first\r\nWWW-Authenticate: Digest realm=\"meter\", "
                   "qop=\"auth\", "
                   "nonce=\"60dc2bdf\", algorithm=SHA-256\r\nContent-Length: 2\r\n\r\nno";
        }
        return "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";
    });
    const auto client = CurlHttpClientFactory().make_client({});

    const auto response =
        client->send({.url = server.url("/status"), .digest = DigestLogin{.username = "me", .password = "pa55word"}});

    CHECK(response.status == 200);
    CHECK(response.body == "yes");
    CHECK(response.headers.count("x-seen") == 0);
    REQUIRE(requests.size() == 2);
    for (const std::string part : {"Authorization: Digest username=\"me\"", "realm=\"meter\"", "nonce=\"60dc2bdf\"",
                                   "uri=\"/status\"", "algorithm=SHA-256", "response=\""}) {
        CAPTURE(part);
        CHECK(requests[1].find(part) != std::string::npos);
    }
    CHECK(requests[0].find("Authorization") == std::string::npos);
    CHECK((requests[0] + requests[1]).find("pa55word") == std::string::npos);
}
