"""Appointments: availability, book, move, cancel."""
