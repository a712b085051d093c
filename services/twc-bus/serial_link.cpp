#include "twc-bus/serial_link.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/serial_port.hpp>
#include <fmt/format.h>

#include "twc-bus/stream_pump.hpp"

namespace twc_bus {

namespace {

std::string reason_for(const std::string& device, int error) {
    switch (error) {
        case ENOENT:
        case ENXIO:
        case ENODEV:
            return fmt::format("{}: not there; is the adapter plugged in?", device);
        case EACCES:
        case EPERM:
            return fmt::format("{}: permission denied; the user must be in the group that owns the device (dialout)",
                               device);
        case EBUSY:
        case EWOULDBLOCK:
            return fmt::format("{}: in use by another program", device);
        case ENOTTY:
            return fmt::format("{}: not a serial device", device);
        default:
            return fmt::format("{}: {}", device, std::generic_category().message(error));
    }
}

// Closes the descriptor unless it is released.
class OpenFile {
public:
    explicit OpenFile(int descriptor) : descriptor_(descriptor) {}
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
    ~OpenFile() {
        if (descriptor_ >= 0) {
            ::close(descriptor_);
        }
    }
    int get() const { return descriptor_; }
    int release() { return std::exchange(descriptor_, -1); }

private:
    int descriptor_;
};

bool make_raw_9600(int descriptor) {
    termios settings{};
    if (tcgetattr(descriptor, &settings) != 0) {
        return false;
    }
    cfmakeraw(&settings);
    cfsetispeed(&settings, B9600);
    cfsetospeed(&settings, B9600);
    settings.c_cflag &= ~static_cast<tcflag_t>(CSTOPB | CRTSCTS | HUPCL);
    settings.c_cflag |= static_cast<tcflag_t>(CLOCAL | CREAD);
    settings.c_cc[VMIN] = 1;
    settings.c_cc[VTIME] = 0;
    return tcsetattr(descriptor, TCSANOW, &settings) == 0;
}

}  // namespace

struct SerialLink::Impl final : public StreamPump<asio::serial_port, Impl> {
    Impl(asio::io_context& context, std::string name) : StreamPump(context), device(std::move(name)) {}

    void try_to_open() {
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg): open() is variadic
        OpenFile file(::open(device.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
        const bool is_ready = file.get() >= 0 && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0 &&
                              make_raw_9600(file.get()) && ::ioctl(file.get(), TIOCEXCL) == 0;
        if (!is_ready) {
            failed(reason_for(device, errno));
            return;
        }
        tcflush(file.get(), TCIOFLUSH);
        asio::error_code error;
        stream().assign(file.get(), error);
        if (error) {
            failed(fmt::format("{}: {}", device, error.message()));
            return;
        }
        file.release();
        opened();
    }

    std::string lost_because(const std::string& error) const {
        return fmt::format("{}: lost ({}); was the adapter unplugged?", device, error);
    }

    std::string device;
};

SerialLink::SerialLink(scheduling::EventLoop& loop, std::string device)
    : impl_(std::make_shared<Impl>(loop.io(), std::move(device))) {}

// Asio throws when memory has run out: then the process ends anyway.
SerialLink::~SerialLink() { impl_->close(); }  // NOLINT(bugprone-exception-escape)

void SerialLink::open(Handlers handlers) { impl_->open(std::move(handlers)); }
void SerialLink::close() { impl_->close(); }
void SerialLink::write(Bytes bytes) { impl_->write(std::move(bytes)); }

}  // namespace twc_bus
