"""The error hierarchy: who is at fault decides the class, and the class decides the exit status.

    PassivbotError                 status 1   data that is wrong, or something that failed while running
    ├── DataError                             candles, markets, datasets
    │   ├── StoreError                        a file of the candle store is damaged or of an unknown version
    │   ├── CandleFetchError                  an exchange did not answer, or refused
    │   ├── OfflineDataError                  something needed is not on disk and the network is off
    │   └── LockTimeoutError                       another process held a lock for too long
    ├── RunError                              the engine refused its input, a write failed, a disk is full
    └── UserError                  status 2   what the user can correct: arguments, configuration, missing tools
        ├── ConfigError                       a key, a value or a file of the configuration
        │   └── MissingKeyError               a key that a reader needs (also a KeyError)
        ├── UsageError                        command-line arguments
        └── ToolMissingError                  no Rust toolchain, no C linker, no built extension

A message names what is wrong (key, file, coin, row), the value found and what to do about it, in one line.
"""

from __future__ import annotations


class PassivbotError(Exception):
    """Base of every expected failure. A program prints its text as one line and exits with `exit_status`."""

    exit_status = 1


class DataError(PassivbotError):
    """Candles, market settings or a dataset are unusable."""


class StoreError(DataError):
    """A file of the candle store is damaged, or written by a newer version."""


class CandleFetchError(DataError):
    """An exchange could not be asked for candles: not the same as having none."""


class OfflineDataError(DataError):
    """Something the run needs is not on disk, and the run may not use the network."""


class LockTimeoutError(DataError, TimeoutError):
    """A lock was held by another process for longer than the caller was willing to wait."""


class RunError(PassivbotError):
    """Something failed while running: the engine refused its input, a result could not be written."""


class UserError(PassivbotError):
    """Something the user can correct."""

    exit_status = 2


class ConfigError(UserError, ValueError):
    """The configuration is malformed, incomplete or contradicts itself."""


class MissingKeyError(ConfigError, KeyError):
    """A reader asked the configuration for a key that is not there."""

    def __str__(self) -> str:  # KeyError would print the repr of the text
        return Exception.__str__(self)


class UsageError(UserError):
    """The command line cannot be understood."""


class ToolMissingError(UserError):
    """A tool that the program needs is not installed."""
