-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
/*!50503 SET NAMES utf8mb4 */;
CREATE TABLE `users` (
  `id` int NOT NULL AUTO_INCREMENT,
  `username` varchar(34) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci DEFAULT NULL,
  `status` enum('active','disabled','limited','expired','on_hold') CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL,
  `used_traffic` bigint DEFAULT NULL,
  `data_limit` bigint DEFAULT NULL,
  `expire` int DEFAULT NULL,
  `created_at` datetime DEFAULT NULL,
  `admin_id` int DEFAULT NULL,
  `data_limit_reset_strategy` enum('no_reset','day','week','month','year') NOT NULL DEFAULT 'no_reset',
  `sub_revoked_at` datetime DEFAULT NULL,
  `note` varchar(500) DEFAULT NULL,
  `sub_updated_at` datetime DEFAULT NULL,
  `sub_last_user_agent` varchar(512) DEFAULT NULL,
  `online_at` datetime DEFAULT NULL,
  `edit_at` datetime DEFAULT NULL,
  `on_hold_timeout` datetime DEFAULT NULL,
  `on_hold_expire_duration` bigint DEFAULT NULL,
  `auto_delete_in_days` int DEFAULT NULL,
  `last_status_change` datetime DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `ix_users_username` (`username`),
  KEY `fk_users_admin_id_admins` (`admin_id`),
  CONSTRAINT `fk_users_admin_id_admins` FOREIGN KEY (`admin_id`) REFERENCES `admins` (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=9 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
INSERT INTO `users` VALUES (1, 'ali_reza', 'active', 1073741824, NULL, 1777550400, '2025-01-01 10:00:00', 1, 'no_reset', NULL, 'paid; 2 months', NULL, 'v2rayNG/1.8.5 (it\'s); \\o/', NULL, NULL, NULL, NULL, NULL, NULL),(2, 'monthly', 'limited', 1073741824, 53687091200, 1777550400, '2025-01-01 10:00:00', 1, 'month', NULL, NULL, NULL, 'v2rayNG/1.8.5 (it\'s); \\o/', NULL, NULL, NULL, NULL, NULL, NULL),(3, 'usedup', 'limited', 1073741824, 21474836480, 1777550400, '2025-01-01 10:00:00', 1, 'no_reset', NULL, NULL, NULL, 'v2rayNG/1.8.5 (it\'s); \\o/', NULL, NULL, NULL, NULL, NULL, NULL),(4, 'expired1', 'expired', 1073741824, NULL, 1772280000, '2025-01-01 10:00:00', 1, 'no_reset', NULL, NULL, NULL, 'v2rayNG/1.8.5 (it\'s); \\o/', NULL, NULL, NULL, NULL, NULL, NULL),(5, 'off', 'disabled', 1073741824, NULL, 1777550400, '2025-01-01 10:00:00', 1, 'no_reset', NULL, NULL, NULL, 'v2rayNG/1.8.5 (it\'s); \\o/', NULL, NULL, NULL, NULL, NULL, NULL),(6, 'waits', 'on_hold', 1073741824, NULL, NULL, '2025-01-01 10:00:00', 1, 'no_reset', NULL, NULL, NULL, 'v2rayNG/1.8.5 (it\'s); \\o/', NULL, NULL, '2026-12-31 00:00:00', 2592000, NULL, NULL),(7, 'forever', 'active', 1073741824, NULL, 0, '2025-01-01 10:00:00', 1, 'no_reset', NULL, NULL, NULL, 'v2rayNG/1.8.5 (it\'s); \\o/', NULL, NULL, NULL, NULL, NULL, NULL),(8, 'never', 'active', 1073741824, NULL, NULL, '2025-01-01 10:00:00', 1, 'no_reset', NULL, NULL, NULL, 'v2rayNG/1.8.5 (it\'s); \\o/', NULL, NULL, NULL, NULL, NULL, NULL);
-- Dump completed
