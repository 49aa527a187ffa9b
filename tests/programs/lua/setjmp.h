/* Empty: see guest.h. */
