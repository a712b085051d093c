#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "service/run_service.hpp"
#include "service/service_host.hpp"

namespace {

// Keeps the last word it was told as its state. Some words make trouble, for the tests.
class Echo {
public:
    Echo(service::Process& process, std::string greeting)
        : process_(process),
          environment_(process.environment),
          host_(environment_, [](nlohmann::json&) {}),
          worker_(environment_.workers.make_worker("echo")),
          scope_(environment_.loop) {
        say(greeting);
        host_.on_command(environment_.topics.base() + "/echo/set", [this](const messaging::Delivery& command) {
            obey(command.payload);
            return nlohmann::json(command.payload);
        });
    }

private:
    void obey(const std::string& word) {
        if (word == "throw") {
            scope_.post([] { throw std::runtime_error("told to throw"); });
        } else if (word == "fail") {
            process_.fail("told to fail");
        } else if (word == "hang") {
            worker_->run([] { std::this_thread::sleep_for(std::chrono::hours(1)); });
        } else if (word == "trespass") {
            environment_.bus.publish({.topic = "forbidden/topic", .payload = "x", .qos = 1});
        } else if (word == "burst") {
            for (int i = 0; i < 500; ++i) {
                environment_.bus.publish(
                    {.topic = fmt::format("{}/echo/burst/{}", environment_.topics.base(), i), .payload = "x"});
            }
        } else if (word == "burst of events") {
            for (int i = 0; i < 500; ++i) {
                environment_.bus.publish(
                    {.topic = environment_.topics.base() + "/echo/event", .payload = std::to_string(i), .qos = 1});
            }
        } else if (word == "debug") {
            spdlog::debug("a word of detail");
        } else if (word == "refuse") {
            throw service::Rejected("told to refuse", "another word");
        }
        say(word);
    }
    void say(const std::string& word) {
        environment_.bus.publish(
            {.topic = environment_.topics.base() + "/echo/state", .payload = word, .retained = true, .qos = 1});
    }

    service::Process& process_;
    service::Environment& environment_;
    service::ServiceHost host_;
    std::unique_ptr<scheduling::Worker> worker_;
    scheduling::TaskScope scope_;
};

}  // namespace

int main(int argc, char** argv) {
    return service::run({.name = "echo", .summary = "says what it was told"}, argc, argv,
                        [](const config::Section& root) -> service::Start {
                            const auto greeting = root.text_or("greeting", "fresh");
                            return [greeting](service::Process& process) -> std::shared_ptr<void> {
                                if (greeting == "stillborn") {
                                    throw std::runtime_error("no serial port");
                                }
                                return std::make_shared<Echo>(process, greeting);
                            };
                        });
}
