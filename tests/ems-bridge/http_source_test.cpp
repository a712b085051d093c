#include "ems-bridge/sources/http_source.hpp"

#include <filesystem>
#include <fstream>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "ems-bridge/sources/powerwall.hpp"
#include "support.hpp"
#include "web_server.hpp"

using namespace ems_bridge;
using test::Running;
using namespace std::chrono_literals;

namespace {

struct Real {
    http::CurlHttpClientFactory http;
    test::FakeModbus modbus;
    Io io{http, modbus};
};

MakeSource source_at(const std::string& url, const std::string& more = "") {
    const config::Document document(
        fmt::format("url: {}\ntimeout_s: 0.5\n{}values: {{grid_w: {{ptr: /p}}}}\n", url, more), "test.yaml");
    return make_http_source(read_http(document.root()), mapping::read_mapping(document.root()));
}

struct Failed {
    ErrorKind kind{};
    std::string what;
    std::optional<std::chrono::milliseconds> not_before;
};

Failed failure_of(Source& source) {
    try {
        source.read();
    } catch (const SourceError& error) {
        return {error.kind(), error.what(), error.not_before()};
    } catch (const http::TransportError& error) {
        return {ErrorKind::transport, error.what(), {}};
    }
    return {.kind = ErrorKind::device, .what = "no failure"};
}

// A key and a certificate it signed itself, as gateways have them.
struct Certificate {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();

    Certificate() {
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
        X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
        X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
        X509_set_pubkey(certificate, key);
        X509_NAME* const name = X509_get_subject_name(certificate);
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("powerwall"), -1,
                                   -1, 0);
        X509_set_issuer_name(certificate, name);
        X509_sign(certificate, key, EVP_sha256());
    }
    Certificate(const Certificate&) = delete;
    Certificate& operator=(const Certificate&) = delete;
    ~Certificate() {
        X509_free(certificate);
        EVP_PKEY_free(key);
    }

    std::string pin() const {
        unsigned char* der = nullptr;
        const int length = i2d_PUBKEY(key, &der);
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
        unsigned int size = 0;
        EVP_Digest(der, static_cast<std::size_t>(length), digest.data(), &size, EVP_sha256(), nullptr);
        OPENSSL_free(der);
        std::array<unsigned char, 64> text{};
        EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(size));
        return "sha256//" + std::string(reinterpret_cast<const char*>(text.data()));
    }
};

}  // namespace

TEST_CASE("http: a real server is asked with its headers and answers") {
    Running server;
    std::string seen;
    server.server.Get("/data", [&](const httplib::Request& request, httplib::Response& response) {
        seen = request.get_header_value("Authorization") + "|" + request.get_header_value("X-Api");
        response.set_content(R"({"p": -12.5})", "application/json");
    });
    server.start();
    Real real;

    const auto source = source_at(
        server.url() + "/data", "auth: {type: basic, username: me, password: pass}\nheaders: {X-Api: '2'}\n")(real.io);

    CHECK(source->read().grid_w == -12.5);
    CHECK(seen == "Basic bWU6cGFzcw==|2");
}

TEST_CASE("http: every bad answer is a failure of its kind and names the place, never the query") {
    Running server;
    int status = 500;
    std::string body = "{}";
    server.server.Get("/data", [&](const httplib::Request&, httplib::Response& response) {
        response.status = status;
        response.set_header("Retry-After", "120");
        response.set_content(body, "application/json");
    });
    server.start();
    Real real;
    const std::string place = server.url() + "/data";
    const auto source = source_at(place + "?token=s3cret")(real.io);
    const auto expect = [&](int new_status, const char* new_body, ErrorKind kind, const std::string& what) {
        status = new_status;
        body = new_body;
        const auto failure = failure_of(*source);
        CHECK(failure.kind == kind);
        CHECK(failure.what == place + ": " + what);
        return failure.not_before;
    };

    CHECK_FALSE(expect(500, "{}", ErrorKind::device, "HTTP 500"));
    CHECK(expect(401, "{}", ErrorKind::login, "HTTP 401: check the credentials") == 5min);
    CHECK(expect(404, "{}", ErrorKind::device, "HTTP 404: not offered by this device") == 10min);
    CHECK(expect(429, "{}", ErrorKind::rate_limited, "HTTP 429: asked too often") == 120s);
    CHECK_FALSE(expect(302, "{}", ErrorKind::device, "HTTP 302"));
    CHECK_FALSE(expect(200, "{}", ErrorKind::malformed, "grid_w: nothing at /p"));
    CHECK_FALSE(expect(200, R"({"p":"lots"})", ErrorKind::malformed, R"(grid_w: "lots" is not a number)"));
    status = 200;
    body = "<html>";
    CHECK(failure_of(*source).kind == ErrorKind::malformed);
    body = R"({"p":1})";
    CHECK(source->read().grid_w == 1);
}

TEST_CASE("http: a slow server and a closed port are transport failures within the time-out") {
    std::atomic<bool> ending = false;  // outlives the server's threads
    Running server;
    server.server.Get("/data", [&](const httplib::Request&, httplib::Response&) {
        while (!ending) {
            std::this_thread::yield();
        }
    });
    server.start();
    Real real;
    const auto source = source_at(server.url() + "/data")(real.io);
    const auto begin = std::chrono::steady_clock::now();

    CHECK(failure_of(*source).kind == ErrorKind::transport);

    CHECK(std::chrono::steady_clock::now() - begin < 3s);
    ending = true;
    CHECK(failure_of(*source_at("http://127.0.0.1:1/x")(real.io)).kind == ErrorKind::transport);
}

TEST_CASE("http: text answers and the device's own error message") {
    test::FakeHttp fake;
    test::FakeModbus modbus;
    Io io{fake, modbus};
    const auto read = [&](const char* yaml, const char* body) {
        fake.answer = [=](const http::Request&) { return http::Response{.status = 200, .body = body}; };
        const config::Document document(yaml, "test.yaml");
        return make_http_source(read_http(document.root()), mapping::read_mapping(document.root()))(io)->read();
    };

    CHECK(read("{url: 'http://x', format: text, values: {house_w: {}}}", "  1320.4 W\n").house_w == 1320.4);
    CHECK_THROWS_WITH_AS(
        read("{url: 'http://x', ok_when: {ptr: /code, equals: '0'}, error_text: /why, values: {grid_w: {ptr: /p}}}",
             R"({"code":12,"why":"Device not available","p":0})"),
        "http://x: the device says \"Device not available\"", SourceError);
}

TEST_CASE("http: credentials and queries are kept out of places") {
    CHECK(place_of("http://user:pass@host:80/a/b?token=x#y") == "http://host:80/a/b");
    CHECK(place_of("https://host/a@b") == "https://host/a@b");
}

TEST_CASE("http: a self-signed gateway is trusted by its pinned key, by its certificate, or by choice, and else not") {
    const Certificate own;
    const Certificate other;
    Running<httplib::SSLServer> server(own.certificate, own.key);
    server.server.Post("/api/login/Basic", [](const httplib::Request&, httplib::Response& response) {
        response.set_content(R"({"token":"t"})", "application/json");
    });
    server.server.Get("/api/meters/aggregates", [](const httplib::Request& request, httplib::Response& response) {
        response.status = request.get_header_value("Authorization") == "Bearer t" ? 200 : 401;
        response.set_content(R"({"site":{"instant_power":-50}})", "application/json");
    });
    server.server.Get("/api/system_status/soe", [](const httplib::Request&, httplib::Response& response) {
        response.set_content(R"({"percentage":62})", "application/json");
    });
    server.start();
    Real real;
    const auto source_with = [&](http::TlsTrust trust) {
        return make_powerwall({.url = server.url("https"), .password = "p", .trust = std::move(trust), .timeout = 2s})(
            real.io);
    };

    CHECK(source_with({.mode = http::TlsTrust::Mode::pinned, .pin = own.pin()})->read().grid_w == -50);
    CHECK(source_with({.mode = http::TlsTrust::Mode::accept_any})->read().grid_w == -50);
    CHECK(failure_of(*source_with({.mode = http::TlsTrust::Mode::pinned, .pin = other.pin()})).kind ==
          ErrorKind::transport);
    CHECK(failure_of(*source_with({.mode = http::TlsTrust::Mode::system_roots})).kind == ErrorKind::transport);
}
