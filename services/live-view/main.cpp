#include <csignal>
#include <iostream>
#include <optional>
#include <unistd.h>

#include <asio/posix/stream_descriptor.hpp>
#include <asio/signal_set.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "config/section.hpp"
#include "live-view/arguments.hpp"
#include "live-view/board.hpp"
#include "live-view/screen.hpp"
#include "live-view/terminal.hpp"
#include "messaging/mqtt_session.hpp"
#include "scheduling/event_loop.hpp"
#include "service/run_service.hpp"
#include "service/version.hpp"

namespace {

using namespace std::chrono_literals;
using namespace live_view;

messaging::MqttOptions mqtt_options(const Arguments& arguments) {
    messaging::MqttOptions options;
    options.host = arguments.host;
    options.port = arguments.port;
    options.client_id = fmt::format("twc-live-view-{}", getpid());  // several may look at once
    options.username = arguments.username;
    if (!arguments.password_file.empty()) {
        options.password = config::read_file(arguments.password_file);
        options.password.erase(options.password.find_last_not_of("\r\n") + 1);
    }
    if (!arguments.ca_file.empty()) {
        options.tls = messaging::MqttTls{.ca_file = arguments.ca_file, .certificate_file = "", .key_file = ""};
    }
    return options;
}

// Draws what the board knows, on a terminal or as lines.
class View {
public:
    View(const Arguments& arguments, scheduling::EventLoop& loop, const Board& board)
        : loop_(loop), board_(board), look_(Terminal::look()), scope_(loop), resized_(loop.io(), SIGWINCH) {
        if (arguments.lines || !Terminal::available()) {
            scope_.call_every(arguments.line_period, [this] { print_line(); });
            return;
        }
        terminal_.emplace();
        draw();
        scope_.call_every(250ms, [this] { draw(); });
        await_resize();
        keys_.emplace(loop.io(), dup(STDIN_FILENO));
        await_key();
    }

private:
    Model model() const { return board_.model(loop_.now(), loop_.wall_now()); }

    void print_line() {
        std::cout << render_line(model()) << std::endl;
        if (!std::cout) {
            loop_.stop();  // whoever read the lines has gone
        }
    }

    void draw() {
        auto screen = render(model(), look_);
        if (screen != shown_) {
            shown_ = std::move(screen);
            terminal_->show(shown_);
        }
    }

    void await_resize() {
        resized_.async_wait([this](const asio::error_code& error, int) {
            if (!error) {
                look_ = Terminal::look();
                draw();
                await_resize();
            }
        });
    }

    // Waits and reads instead of an asynchronous read: that would make standard input non-blocking for the shell too.
    void await_key() {
        keys_->async_wait(asio::posix::stream_descriptor::wait_read, [this](const asio::error_code& error) {
            char key = 'q';
            if (error || read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q') {
                loop_.stop();
            } else {
                await_key();
            }
        });
    }

    scheduling::EventLoop& loop_;
    const Board& board_;
    Look look_;
    std::string shown_;
    std::optional<Terminal> terminal_;
    scheduling::TaskScope scope_;
    asio::signal_set resized_;
    std::optional<asio::posix::stream_descriptor> keys_;
};

int run(const Arguments& arguments) {
    spdlog::set_level(spdlog::level::off);  // log lines would tear the screen; it says itself what is wrong
    scheduling::EventLoop loop;
    asio::signal_set termination(loop.io(), SIGTERM, SIGINT, SIGHUP);
    termination.async_wait([&](const asio::error_code&, int) { loop.stop(); });

    Board board(contract::Topics(arguments.base_topic), fmt::format("{}:{}", arguments.host, arguments.port));
    messaging::MqttSession bus(mqtt_options(arguments), loop, [&](const std::string&) { loop.stop(); });
    bus.on_connection_change([&](bool connected) { board.set_connected(connected); });
    for (const auto& filter : board.filters()) {
        bus.subscribe(filter, 0,
                      [&](const messaging::Delivery& delivery) { board.take(delivery, loop.now(), loop.wall_now()); });
    }
    const View view(arguments, loop, board);
    bus.start();
    loop.run();
    return static_cast<int>(service::ExitCode::stopped);
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c)
    try {
        const auto arguments = parse_arguments({argv + 1, argv + argc});
        if (arguments.help || arguments.version) {
            std::cout << (arguments.help ? help_text() : fmt::format("live-view {}\n", service::version));
            return static_cast<int>(service::ExitCode::stopped);
        }
        return run(arguments);
    } catch (const BadArgument& error) {
        std::cerr << "live-view: " << error.what() << "\n";
        return static_cast<int>(service::ExitCode::misconfigured);
    } catch (const config::ConfigError& error) {
        std::cerr << "live-view: " << error.what() << "\n";
        return static_cast<int>(service::ExitCode::misconfigured);
    } catch (const std::exception& error) {
        std::cerr << "live-view: " << error.what() << "\n";
        return static_cast<int>(service::ExitCode::failed);
    }
}
