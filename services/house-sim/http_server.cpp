#include "house-sim/http_server.hpp"

#include <condition_variable>
#include <httplib.h>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

#include "house-sim/certificate.hpp"

namespace house_sim {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t threads = 4;
constexpr std::size_t longest_body = 64UL * 1024;
constexpr auto silence = 30s;  // clients have given up long before

}  // namespace

struct HttpServer::Impl {
    Impl(scheduling::Scheduler& scheduler, const Options& options, Answer handler)
        : loop(scheduler), scope(scheduler), answer(std::move(handler)) {
        if (options.certificate != nullptr) {
            server =
                std::make_unique<httplib::SSLServer>(options.certificate->certificate(), options.certificate->key());
        } else {
            server = std::make_unique<httplib::Server>();
        }
        server->new_task_queue = [] { return new httplib::ThreadPool(threads); };  // owned by the server
        server->set_payload_max_length(longest_body);
        server->set_keep_alive_max_count(1);  // an idle connection would hold a thread, and up the end
        const auto serve = [this](const httplib::Request& request, httplib::Response& response) {
            exchange(request, response);
        };
        server->Get(".*", serve).Post(".*", serve).Put(".*", serve).Delete(".*", serve);
        port = options.port == 0 ? server->bind_to_any_port(options.host)
                                 : (server->bind_to_port(options.host, options.port) ? options.port : -1);
        if (port < 0) {
            throw std::runtime_error(fmt::format("cannot listen on {} port {}", options.host, options.port));
        }
        listener = std::thread([this] { server->listen_after_bind(); });
        while (!server->is_running()) {
            std::this_thread::sleep_for(1ms);  // a server that does not run yet cannot be stopped
        }
    }

    void stop() {
        {
            const std::scoped_lock lock(mutex);
            stopping = true;
            changed.notify_all();
        }
        server->stop();
        listener.join();
    }

    struct Exchange {
        bool done = false;
        std::optional<http::Response> response;
    };

    // On one of the server's threads.
    void exchange(const httplib::Request& request, httplib::Response& response) {
        http::Request plain{.method = request.method, .url = request.target, .headers = {}, .body = request.body};
        for (const auto& [name, value] : request.headers) {
            plain.headers.emplace_back(name, value);
        }
        auto pending = std::make_shared<Exchange>();
        std::unique_lock lock(mutex);
        if (stopping) {
            return;
        }
        loop.post(scope.guarded([this, pending, plain = std::move(plain)] {
            auto reply = answer(plain);
            const std::scoped_lock reply_lock(mutex);
            pending->response = std::move(reply);
            pending->done = true;
            changed.notify_all();
        }));
        changed.wait(lock, [&] { return stopping || pending->done; });
        if (!pending->response) {
            changed.wait_for(lock, silence, [&] { return stopping; });
            response.status = 504;
            return;
        }
        response.status = pending->response->status;
        std::string type = "application/json";
        for (const auto& [name, value] : pending->response->headers) {
            if (name == "content-type") {
                type = value;
            } else {
                response.set_header(name, value);
            }
        }
        response.set_content(pending->response->body, type);
    }

    scheduling::Scheduler& loop;
    scheduling::TaskScope scope;
    Answer answer;
    std::unique_ptr<httplib::Server> server;
    std::thread listener;
    int port = -1;
    std::mutex mutex;
    std::condition_variable changed;
    bool stopping = false;
};

HttpServer::HttpServer(scheduling::Scheduler& loop, const Options& options, Answer answer)
    : impl_(std::make_unique<Impl>(loop, options, std::move(answer))) {}

HttpServer::~HttpServer() { impl_->stop(); }

int HttpServer::port() const { return impl_->port; }

}  // namespace house_sim
