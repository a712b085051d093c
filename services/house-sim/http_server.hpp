#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "http/http_client.hpp"
#include "scheduling/scheduler.hpp"

namespace house_sim {

class Certificate;

/// HTTP or HTTPS in front of a function that runs on the loop. Its sockets live on threads of their own; a request
/// waits there until the loop has answered it.
class HttpServer {
public:
    /// None: the request is left without an answer.
    using Answer = std::function<std::optional<http::Response>(const http::Request&)>;

    struct Options {
        std::string host;
        int port = 0;                              ///< 0: a free one.
        const Certificate* certificate = nullptr;  ///< Plain HTTP without; must outlive the server.
    };

    /// Throws std::runtime_error when the port cannot be had.
    HttpServer(scheduling::Scheduler& loop, const Options& options, Answer answer);
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;
    ~HttpServer();

    int port() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace house_sim
