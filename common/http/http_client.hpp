#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace http {

/// Header names in lower case.
using Headers = std::multimap<std::string, std::string>;

struct DigestLogin {
    std::string username;
    std::string password;
};

struct Request {
    std::string method = "GET";
    std::string url;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::optional<DigestLogin> digest;        ///< The answer to a 401 that asks for it (RFC 7616).
    std::chrono::milliseconds timeout{5000};  ///< For the whole exchange, name look-up included.
};

struct Response {
    int status = 0;
    Headers headers;
    std::string body;
};

/// How the server is authenticated over https.
struct TlsTrust {
    enum class Mode {
        system_roots,  ///< Certificate and host name are verified against the system's roots.
        ca_file,       ///< The same against `ca_file` only.
        pinned,        ///< The server's public key must match `pin` (`sha256//` + base64), whoever signed it.
        accept_any,    ///< No verification: encrypts, but trusts whoever answers.
    };
    Mode mode = Mode::system_roots;
    std::string ca_file;
    std::string pin;
};

/// No HTTP answer: no connection, time-out, bad certificate, too large. what() names the host and the cause, never
/// a credential.
class TransportError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// One connection to one kind of server, kept alive between calls. Not thread-safe: one per worker.
class HttpClient {
public:
    HttpClient() = default;
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;
    virtual ~HttpClient() = default;

    /// Blocks until the answer is there; any status is an answer. Throws TransportError.
    virtual Response send(const Request& request) = 0;
};

/// Makes clients: libcurl in a process, the simulated house in a test.
class HttpClientFactory {
public:
    HttpClientFactory() = default;
    HttpClientFactory(const HttpClientFactory&) = delete;
    HttpClientFactory& operator=(const HttpClientFactory&) = delete;
    virtual ~HttpClientFactory() = default;
    virtual std::unique_ptr<HttpClient> make_client(const TlsTrust& trust) = 0;
};

/// libcurl: no redirects, http and https only, bodies up to 4 MiB.
class CurlHttpClientFactory final : public HttpClientFactory {
public:
    CurlHttpClientFactory();
    std::unique_ptr<HttpClient> make_client(const TlsTrust& trust) override;
};

/// The first header of that (lower-case) name.
std::optional<std::string> header(const Response& response, const std::string& name);

}  // namespace http
